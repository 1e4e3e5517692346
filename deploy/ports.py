"""Whether the ports of a plan can be had, asked before anything is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from deploy.errors import PortUnavailable
from deploy.plan import Service


def require_free(services: Sequence[Service]) -> None:
    """Nothing, when every service can have its port.

    Raises:
        PortUnavailable: names the first port that cannot be had, and the option that changes it.
    """
    owners: dict[int, Service] = {}
    for service in services:
        other = owners.setdefault(service.port, service)
        if other is not service:
            raise PortUnavailable(
                f"port {service.port} is given to both {other.name} and {service.name}",
                f"give one of them another: {service.port_option} PORT or {other.port_option} PORT",
            )
    for service in services:
        _require_free(service)


def _require_free(service: Service) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are only waiting to be forgotten is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((service.host, service.port))
        except socket.gaierror as error:
            raise _no_host(service, str(error.strerror)) from error
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise _no_host(service, "it is no address of this machine") from error
            why = {
                errno.EADDRINUSE: "is in use by another program",
                errno.EACCES: "may not be used by this user",
            }.get(error.errno or 0, f"cannot be used ({error.strerror})")
            raise PortUnavailable(
                f"port {service.port} on {service.host}, wanted for the {service.name}, {why}",
                f"give another one with {service.port_option} PORT, or end the program that has it",
            ) from error


def _no_host(service: Service, why: str) -> PortUnavailable:
    return PortUnavailable(
        f"the {service.name} cannot listen on {service.host} ({why})",
        "give a name or an IPv4 address of this machine with --host",
    )
