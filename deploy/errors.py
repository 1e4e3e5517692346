"""What the launcher refuses, and how each refusal ends the command.

DeployError                exit code 2; the root
├── UsageError             the words of a command do not fit together
├── PortUnavailable        a port is taken, given twice, or not a port
├── FolderInUse            another launcher holds the data folder
├── FolderUnusable         the data folder cannot be made or written
├── ServerMissing          the store's program is not installed
├── NothingRuns            no stack runs on the data folder whose services could be asked
├── ServiceUnreachable     a service does not answer
├── ServiceRefused         a service answered that it will not
├── BackupUnusable         a backup is not whole, or its folder cannot be written
├── TargetInUse            what a backup would be restored to holds something already
├── EnvironmentUnprepared  the virtual environment could not be set up
└── ServiceFailed          exit code 3; a service keeps ending, or does not become usable
"""

from __future__ import annotations


class DeployError(Exception):
    """One sentence of what is wrong (`message`) and one of what to do (`fix`); `exit_code` ends the command."""

    exit_code = 2

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix


class UsageError(DeployError):
    """The words of a command do not fit together."""


class PortUnavailable(DeployError):
    """A port is taken, given to two services, or not a port."""


class FolderInUse(DeployError):
    """Another launcher holds the data folder."""


class FolderUnusable(DeployError):
    """The data folder cannot be made or written."""


class ServerMissing(DeployError):
    """The store's program is not installed."""


class NothingRuns(DeployError):
    """No stack runs on the data folder."""


class ServiceUnreachable(DeployError):
    """A service does not answer."""


class ServiceRefused(DeployError):
    """A service answered that it will not."""


class BackupUnusable(DeployError):
    """A backup is not whole, is of another version, or its folder cannot be written."""


class TargetInUse(DeployError):
    """What a backup would be restored to holds something already."""


class EnvironmentUnprepared(DeployError):
    """The virtual environment could not be set up."""


class ServiceFailed(DeployError):
    """A service keeps ending, or does not become usable."""

    exit_code = 3
