"""The services in containers: what the images are made of, and the check that builds and runs them."""
