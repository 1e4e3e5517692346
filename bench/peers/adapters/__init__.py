"""One module for each system: how its users capture a task and a point, by its documentation."""
