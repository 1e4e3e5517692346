"""The manager: takes PROV-ML JSON, commits it as RDF to a SPARQL 1.1 store, and serves the vocabulary."""
