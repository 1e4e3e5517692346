"""Read-only answers about provenance: SPARQL 1.1 Protocol, REST resources, lineage and named analyses."""
