"""What the services have in common at their HTTP edge: request bodies, refusals, where they listen.

Imports no service; services import it and not each other.
"""
