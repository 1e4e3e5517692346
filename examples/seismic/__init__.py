"""The papers' use case on synthetic seismic data: four workflows that share nothing but files, documents and triples."""
