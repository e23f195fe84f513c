"""The command `python -m server`: runs a Triton over the model repository until it is told to stop."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from malgil_core.serving.events import FOLDER

from server import documents_options, events_options, exposure, tracing
from server.launcher import REPOSITORY, Server
from server.ports import Ports, free_ports
from server.supervisor import Supervisor
from server.triton import SetupError

PORT = click.IntRange(1, 65535)
EPILOG = """\b
Examples:
  python -m server                              on this machine's loopback
  python -m server --free-ports                 beside another one
  python -m server --listen 0.0.0.0 --tls-cert server.pem --tls-key server.key --key-file key
                                                for other machines, which need the key
  python -m server --listen 0.0.0.0 --insecure  behind a gateway that terminates TLS and checks who asks
  python -m server --documents                  with a vector engine of its own, see docs/documents.md
  python -m server --events /srv/events --log-queries
                                                events of searches, with what was typed, see docs/feedback.md
  python -m server --trace-endpoint http://localhost:4318

Before the first start: `python -m export encoder` and `python -m export catalog publish FILE --offline`.

docs/security.md says what is and is not defended, docs/operations.md what to watch.
"""


@click.command(epilog=EPILOG)
@click.option(
    "--repository",
    type=click.Path(path_type=Path),
    default=REPOSITORY,
    metavar="FOLDER",
    help="What Triton loads.  [default: model_repository]",
)
@click.option("--http-port", type=PORT, default=Ports.http, show_default=True, metavar="PORT")
@click.option("--grpc-port", type=PORT, default=Ports.grpc, show_default=True, metavar="PORT")
@click.option("--metrics-port", type=PORT, default=Ports.metrics, show_default=True, metavar="PORT")
@click.option("--free-ports", "any_ports", is_flag=True, help="Listen on ports that are free.")
@documents_options.options
@events_options.options
@exposure.options
@tracing.options
def main(
    repository: Path,
    http_port: int,
    grpc_port: int,
    metrics_port: int,
    any_ports: bool,
    events: Path | None,
    log_queries: bool,
    trace_endpoint: str | None,
    trace_rate: int | None,
    **given: Any,
) -> None:
    """Run a Triton (pip's, or the container's) over the model repository.

    It listens on this machine's loopback unless told otherwise, and says ready once a real search is answered. It
    starts Triton again when it ends, when a model's process dies, or when a search is not answered any more. SIGTERM
    stops it, with Triton's exit code; 1 says that it could not start, 2 that an option is wrong.
    """
    ports = free_ports() if any_ports else Ports(http_port, grpc_port, metrics_port)
    try:
        engine = {name: given.pop(name) for name in [*given] if name.startswith("documents")}
        exposed = exposure.from_options(**given)
        flags = tracing.from_options(trace_endpoint, trace_rate)
        log = events_options.from_options(events, log_queries)
        for number in (signal.SIGTERM, signal.SIGHUP):  # as SIGINT: until there is a supervisor, the engine is stopped
            signal.signal(number, signal.default_int_handler)
        with documents_options.from_options(_log, any_ports, **engine) as found:
            server = Server(repository, ports, exposed, flags=flags, environment={**found.environment, **log})
            told = {"documents": found.uri, "events": log.get(FOLDER, "")}
            supervisor = Supervisor(server, functools.partial(_announce, told), _log)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, lambda received, _: supervisor.stop(received))
            code = supervisor.run()
        sys.exit(code)
    except SetupError as error:
        _log(str(error))
        sys.exit(1)


def _announce(told: Mapping[str, str], server: Server, generation: int | None, seconds: float) -> None:
    what = f"serving generation {generation}"
    if generation is None:
        what = "no catalog published yet: run `python -m export catalog publish FILE`"
    print(
        f"ready in {seconds:.1f} s, {what}\n"
        f"  gRPC     {server.grpc_url}\n"
        f"  HTTP     {server.http_url}\n"
        f"  metrics  {server.metrics_url}",
        *(f"\n  {name:9}  {where}" for name, where in told.items() if where),
        sep="",
        flush=True,
    )


def _log(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(prog_name="python -m server")
