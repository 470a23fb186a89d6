"""``vivant credentials``: what a file says of its making, and the key that signs it."""

from __future__ import annotations

import json as _json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivant.cli.language import localized, say
from vivant.cli.options import Json
from vivant.errors import ClipError, OptionError

if TYPE_CHECKING:
    from rich.console import Console

    from vivant.provenance.reading import Credentials

credentials_app = typer.Typer(
    no_args_is_help=True, help="Content credentials: who made a file, how, and from what."
)


@credentials_app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="Any MP4, JPEG, PNG, … file.", metavar="FILE")],
    json: Json = False,
) -> None:
    """Show a file's credentials. Exit code 1 if it was changed after it was signed."""
    from vivant.provenance.reading import read_back_json, read_credentials
    from vivant.settings import default_settings

    found = read_credentials(file, default_settings())
    if json:
        sys.stdout.write(_json.dumps(read_back_json(found), ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines(found)))
    if found.state == "tampered":
        raise typer.Exit(1)


@credentials_app.command("sign")
def sign(
    clip: Annotated[
        Path, typer.Argument(help="A clip of Vivant's, with its report.", metavar="CLIP")
    ],
) -> None:
    """Sign a clip that was made without a signature, with its thumbnail and contact sheet."""
    from vivant.provenance.later import sign_later
    from vivant.settings import default_settings

    signed = sign_later(clip, default_settings())
    sys.stdout.write("".join(f"signed {path.name}\n" for path in signed))


@credentials_app.command("key")
def key(
    new: Annotated[
        bool, typer.Option("--new", help="Make a new self-made key; the old one is kept as .old.")
    ] = False,
) -> None:
    """Show the key that signs clips, and whether it works."""
    from vivant.provenance import keys, signing
    from vivant.settings import default_settings

    settings = default_settings()
    if new:
        if settings.credentials_key or settings.credentials_signer_url:
            raise OptionError(
                "--new makes a self-made key, but the settings name another one: "
                "remove VIVANT_CREDENTIALS_KEY or VIVANT_CREDENTIALS_SIGNER_URL first"
            )
        keys.self_made(keys.self_made_file(settings), renew=True)
    identity = signing.working_signer(settings).identity
    lines_ = [
        f"key           {signing.key_location(settings)}",
        f"signer        {identity.name}",
        f"organization  {identity.organization}",
        f"algorithm     {identity.algorithm}",
        f"valid until   {identity.valid_until:%Y-%m-%d}",
    ]
    if identity.self_made:
        lines_.append(f"note          {signing.UNTRUSTED}.")
    sys.stdout.write("".join(f"{line}\n" for line in lines_))


def lines(found: Credentials) -> list[str]:
    """Credentials for people, one fact a line; the first line is the answer."""
    out = [f"{found.state}: {found.sentence}"]
    if found.signer:
        known = (
            "signed with the key of this machine"
            if found.own
            else "its certificate is on your list of trusted roots"
            if found.trusted
            else "not known to be who it says: its certificate is on no list of trusted roots here"
        )
        out.append(f"  signer    {found.signer}, {found.organization} ({known})")
    if found.software:
        out.append(f"  software  {found.software}")
    if found.source_type:
        out.append(f"  source    {found.source_type}")
    out += [
        f"  {name:<8}  {str(found.production[name])[:200]}"
        for name in ("engine", "model", "revision", "seed", "label", "sound", "prompt")
        if name in found.production
    ]
    if found.picture_sha256:
        out.append(f"  picture   SHA-256 {found.picture_sha256}")
    out += [f"  history   {one}" for one in found.history]
    out += [f"  problem   {one}" for one in found.problems]
    return out


def log_facts(console: Console, found: Credentials, image: Path) -> None:
    """Everything that the credentials of a clip say, and whether they name its picture."""
    from vivant.cli.run_log import heading

    heading(console, "CONTENT CREDENTIALS")
    for line in filter(None, (*lines(found), made_from(found, image))):
        console.print(f"  {line}", markup=False, soft_wrap=True)


def log_state(console: Console, found: Credentials, image: Path) -> None:
    """Whether the credentials of a clip are in order, in one or two sentences."""
    from vivant.cli.summary import log_row

    said = [found.sentence, made_from(found, image)]
    log_row(console, say("label_credentials"), " ".join(localized(one) for one in said if one))


def made_from(found: Credentials, image: Path) -> str:
    """Whether the credentials name this picture, as a sentence; empty if they name none."""
    import hashlib

    if not found.picture_sha256 or found.state == "tampered":
        return ""
    try:
        same = hashlib.sha256(image.read_bytes()).hexdigest() == found.picture_sha256
    except OSError as error:
        raise ClipError(f"{image.name} cannot be read: {error.strerror}") from None
    return (
        "The credentials name this very picture."
        if same
        else "The credentials name another picture file than the one given."
    )


def mount(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(credentials_app, name="credentials")
