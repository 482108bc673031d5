"""The command ``atrophy-cds``: arguments only; each command's work is in the module of its name.

That module is imported when the command runs, so that the help does not wait for the whole service.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from cds_service import __version__
from cds_service.errors import AtrophyCdsError

CANNOT_START = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="atrophy-cds")
def commands() -> None:
    """Clinical decision support for muscle atrophy, over CDS Hooks and FHIR R4."""


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
@click.option("--open", "open_mode", is_flag=True, help="No authentication, loopback only: for trying it out.")
@click.option("--profile", default=None, help="With --open: the client profile that shapes the cards.")
@click.option("--allow-origin", multiple=True, help="With --open: one more web origin that may call.")
@click.option("--certfile", default=None, type=click.Path(exists=True, dir_okay=False), help="TLS certificate.")
@click.option("--keyfile", default=None, type=click.Path(exists=True, dir_okay=False), help="Its key.")
@click.option("--behind-proxy", is_flag=True, help="A proxy on the way ends TLS and buffers requests.")
def serve(**options: object) -> None:
    """Answer CDS Hooks calls."""
    from cds_service.cli import serve as serving

    serving.serve(serving.ServeOptions(**options))  # type: ignore[arg-type]  # click has checked the types


@commands.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
def demo(port: int) -> None:
    """Serve the synthetic patients of fixtures/ with a chart page, on this machine only."""
    from cds_service.cli import serve as serving

    serving.serve(serving.ServeOptions(port=port, open_mode=True, demo=True))


@commands.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as-of", default=None, help="DATE (its end in the site's zone), DATETIME, or newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per patient, then a summary.")
def evaluate(files: tuple[Path, ...], as_of: str | None, as_json: bool) -> None:
    """Evaluate patient Bundles, NDJSON (also gzipped) or whole hook requests, and say why."""
    from cds_service.cli import evaluate as evaluating

    sys.exit(evaluating.evaluate(files, as_of, as_json=as_json))


@commands.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as-of", default=None, help="DATE (its end in the site's zone), DATETIME, or newest.")
@click.option(
    "--overlay", default=None, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Triggers to lay over the files, such as fixtures/overlay.toml.",
)  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Draws the overlay.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per adult with a card, then the rates.")
def rates(files: tuple[Path, ...], as_of: str | None, overlay: Path | None, seed: int, as_json: bool) -> None:
    """Share of living adults with a card and with a critical card, by rule, age and sex."""
    from cds_service.cli import rates as rating

    sys.exit(rating.rates(files, as_of, overlay, seed, as_json=as_json))


@commands.command("check-rules")
@click.option("--rules", default=None, type=click.Path(file_okay=False, path_type=Path), help="Another rules folder.")
def check_rules(rules: Path | None) -> None:
    """Validate rules/ and run every worked patient."""
    from cds_service.cli import check_rules as checking

    sys.exit(checking.check_rules(rules))


@commands.command()
@click.argument("fhir_base")
@click.option("--token-file", default=None, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="File that holds an access token.")  # fmt: skip
@click.option("--patient", default=None, help="The id of a patient with a long chart.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document: findings and prefetch templates.")
def doctor(fhir_base: str, token_file: Path | None, patient: str | None, as_json: bool) -> None:
    """Examine a FHIR server. Ends with 0 when nothing failed, 1 when something did, 2 when it could not begin."""
    from cds_service.cli import doctor as examining

    sys.exit(examining.examine(fhir_base, token_file, patient, as_json=as_json))


@commands.group()
def audit() -> None:
    """What was answered to whom."""


@audit.command("verify")
@click.option("--head", default=None, help="NUMBER:SEAL of a head that the log showed.")
@click.option("--replay", default=None, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A whole hook request of the site: its cards must come out as they were shown.")  # fmt: skip
def verify_audit(head: str | None, replay: Path | None) -> None:
    """Walk the chain; ends with 1 when it is broken or a replay differs."""
    from cds_service.cli import audit as auditing

    sys.exit(auditing.verify(head, replay))


@commands.group()
def feedback() -> None:
    """What users did with the cards."""


@feedback.command("report")
@click.option("--since", default=None, type=click.DateTime(["%Y-%m-%d"]), help="DATE: cards shown since that day.")
@click.option("--by", default="rule", show_default=True, type=click.Choice(["rule", "client", "reason"]))
@click.option("--csv", "csv_file", default=None, type=click.Path(dir_okay=False, path_type=Path), help="Write a CSV.")
@click.option("--picture", "picture_file", default=None, type=click.Path(dir_okay=False, path_type=Path),
              help="Draw it: .png, .svg or .pdf. Needs the extra `report`.")  # fmt: skip
def report_feedback(**options: Any) -> None:
    """Shown, accepted, overridden and unanswered cards, and why they were overridden."""
    from cds_service.cli import feedback as reporting

    sys.exit(reporting.report(**options))


@commands.command()
@click.option("--older-than", "days", default=None, type=click.IntRange(0), help="Days; else the setting's.")
def purge(days: int | None) -> None:
    """Remove shown cards, feedback and audit entries that were kept long enough, and expired token ids."""
    from cds_service.cli import audit as auditing

    sys.exit(auditing.purge(days))


@commands.command("load-fixtures")
@click.argument("fhir_base")
@click.option("--write-to", default=None, help="The host of FHIR_BASE, when it is not this machine.")
@click.option("--token-file", default=None, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="File that holds an access token.")  # fmt: skip
def load_fixtures(fhir_base: str, write_to: str | None, token_file: Path | None) -> None:
    """Write the synthetic patients to a FHIR R4 server for tests."""
    from cds_service.cli import load_fixtures as loading

    sys.exit(loading.load_fixtures(fhir_base, write_to, token_file))


@commands.group()
def clients() -> None:
    """The CDS Clients that may call."""


@clients.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path), envvar="ATROPHY_CDS_CLIENTS_FILE")
def check_clients(file: Path | None) -> None:
    """Validate the file of the CDS Clients, read their key sets, show what each may do."""
    from cds_service.cli import clients as trusting

    sys.exit(trusting.check_clients(file))


@clients.command("new-key")
@click.argument("name", type=click.Path(path_type=Path))
def new_key(name: Path) -> None:
    """Make a key for a CDS Client of one's own: NAME.pem and NAME.jwks.json."""
    from cds_service.cli import clients as trusting

    sys.exit(trusting.new_key(name))


@clients.command("token")
@click.option("--key", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="NAME.pem")
@click.option("--issuer", required=True, help="The `issuer` of the client's entry.")
@click.argument("url")
def new_token(key: Path, issuer: str, url: str) -> None:
    """Print a token for one request to URL, for trying the service."""
    from cds_service.cli import clients as trusting

    sys.exit(trusting.new_token(key, issuer, url))


@commands.command()
def metrics() -> None:
    """Print what the rules did, as Prometheus reads it."""
    from cds_service.cli import metrics as measuring

    sys.exit(measuring.metrics())


@commands.group()
def switch() -> None:
    """Switch rules and CDS Clients off and on while the service runs."""


@switch.group("off")
def switch_off() -> None:
    """Within 5 seconds in all workers, and audited."""


@switch.group("on")
def switch_on() -> None:
    """Again, also what has tripped by itself."""


_for_client = click.option("--client", default=None, help="Only for this client; else for every one.")
_because = click.option("--reason", required=True, help="Kept in the audit. Never write of a patient here.")


@switch_off.command("rule")
@click.argument("rule")
@_for_client
@_because
def switch_rule_off(rule: str, client: str | None, reason: str) -> None:
    """The RULE is not asked; it answers `suppressed`, `switched-off`."""
    from cds_service.cli import switch as switching

    sys.exit(switching.turn("off", rule, client, reason))


@switch_off.command("client")
@click.argument("client")
@_because
def switch_client_off(client: str, reason: str) -> None:
    """No rule is asked for the CLIENT, and nothing of a chart is read."""
    from cds_service.cli import switch as switching

    sys.exit(switching.turn("off", None, client, reason))


@switch_on.command("rule")
@click.argument("rule")
@_for_client
@_because
def switch_rule_on(rule: str, client: str | None, reason: str) -> None:
    """The RULE is asked again."""
    from cds_service.cli import switch as switching

    sys.exit(switching.turn("on", rule, client, reason))


@switch_on.command("client")
@click.argument("client")
@_because
def switch_client_on(client: str, reason: str) -> None:
    """The CLIENT is answered again."""
    from cds_service.cli import switch as switching

    sys.exit(switching.turn("on", None, client, reason))


@switch.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is on again.")
def list_switches(everything: bool) -> None:
    """What is switched off, since when, by whom and why."""
    from cds_service.cli import switch as switching

    sys.exit(switching.show(everything=everything))


@commands.command()
@click.option("--check", is_flag=True, help="Change nothing; fail when a page is not current.")
def docs(check: bool) -> None:
    """Write the generated pages of docs/."""
    from cds_service.cli import docs as documents

    sys.exit(documents.write_docs(check=check))


def main() -> None:
    """Run the command; an error of ours is one line on standard error and exit status 2."""
    try:
        commands()
    except AtrophyCdsError as error:
        click.echo(f"atrophy-cds: {error}", err=True)
        sys.exit(CANNOT_START)
