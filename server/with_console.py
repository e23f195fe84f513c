"""`python -m server.with_console`: the search console, and a server where none runs, until one of them ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import click
import malgil

from server import processes
from server.launcher import Server
from server.ports import Ports, free_ports
from server.supervisor import Supervisor
from server.triton import SetupError

STOP_SECONDS = 20.0  # for the console's requests under way


class Console:
    """The console beside a server: started once that answers, and both end together.

    Args:
        options: of `python -m console`.
    """

    def __init__(self, options: tuple[str, ...]) -> None:
        self._options = options
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, url: str) -> list[str]:
        """The command that runs it with the server at a gRPC address."""
        return [sys.executable, "-m", "console", "--url", url, *self._options]

    def start(self, supervisor: Supervisor, url: str) -> None:
        """Start it, unless it runs already: the server may have been started again."""
        if self.process is None:
            self.process = processes.start(self.command(url), None, None)
            threading.Thread(target=self._follow, args=(supervisor, self.process), daemon=True).start()

    def stop(self) -> int:
        """Stop it; its exit code."""
        if self.process is None:
            return 0
        return processes.stop(self.process, STOP_SECONDS)

    @staticmethod
    def _follow(supervisor: Supervisor, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        supervisor.stop()


def answers(url: str) -> bool:
    """Whether a server answers at a gRPC address."""
    with malgil.SearchClient(url, retries=0) as client:
        try:
            client.generation(timeout=2)
        except malgil.MalgilError:
            return False
    return True


@click.command(context_settings={"help_option_names": ["-h", "--help"], "ignore_unknown_options": True})
@click.option("--url", help="gRPC HOST:PORT of a running server. Default: that on port 8001, or one is started there.")
@click.option("--free-ports", "any_ports", is_flag=True, help="Start a server on ports that are free, in any case.")
@click.argument("console_options", nargs=-1, type=click.UNPROCESSED)
def main(url: str | None, any_ports: bool, console_options: tuple[str, ...]) -> None:
    """Run the search console with a server: what `make console` does.

    CONSOLE_OPTIONS are those of `python -m console`, such as --port 8011.
    """
    console = Console(console_options)
    local = f"127.0.0.1:{Ports().grpc}"
    if url is not None or (not any_ports and answers(local)):
        os.execv(sys.executable, console.command(url or local))
    server = Server(ports=free_ports() if any_ports else Ports())
    supervisor = Supervisor(server, lambda ready, *_: console.start(supervisor, ready.grpc_url), _log)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: supervisor.stop(received))
    try:
        code = supervisor.run()
    except SetupError as error:
        _log(str(error))
        sys.exit(1)
    finally:
        ended = console.stop()
    sys.exit(ended or code)


def _log(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(prog_name="python -m server.with_console")
