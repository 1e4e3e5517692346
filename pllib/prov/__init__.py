"""PROV documents in every W3C form: read, write, compare, validate. Standard library only; no server is needed."""
