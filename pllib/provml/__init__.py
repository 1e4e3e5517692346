"""The PROV-ML vocabulary and the minting of identifiers, shared by the client and every service.

Standard library only; imports nothing else of this project.
"""
