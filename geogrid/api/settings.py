"""What the service is started with.

A value is taken from the command line, else from the environment (`GEOGRID_PORT`, and for a value
of a group `GEOGRID_LIMITS__BODY_BYTES`), else from the table `[serve]` of `geogrid.toml` in the
working folder, else it is the default. Nothing that a setting names is opened here.
"""

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import InitSettingsSource

from geogrid.errors import UsageError

FILE = Path("geogrid.toml")
TABLE = "serve"

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?")


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Limits(_Group):
    """What one request, one key and all requests together may ask for."""

    body_bytes: int = Field(default=2_000_000, ge=1)
    """A body; 10,000 positions with 17 digits each are 0.4 MB."""
    upload_bytes: int = Field(default=1 << 30, ge=1)
    """The file of a job, which goes to disk and not into memory."""
    positions: int = Field(default=10_000, ge=1)
    """Positions of one batch as JSON."""
    table_positions: int = Field(default=100_000, ge=1)
    """Positions of one batch as Arrow or CSV, which cost a third."""
    page: int = Field(default=10_000, ge=1)
    """Features of one page."""
    url_bytes: int = Field(default=8_192, ge=64)
    header_bytes: int = Field(default=16_384, ge=256)
    """All headers of a request together."""
    seconds: float = Field(default=30, gt=0)
    """From the last byte of a request to the first of its answer."""
    slow_requests: int = Field(default=2, ge=1)
    """Requests that are worked on at once in threads; single look-ups are not counted. More are
    slower, since they share an interpreter: four get through two thirds as much, and keep the
    look-ups waiting five times as long."""
    waiting_requests: int = Field(default=256, ge=0)
    """Requests that wait for one of those; more are answered 503."""
    wait_seconds: float = Field(default=2, gt=0)
    """How long they wait, before they are answered 503; a fourth of it, newest first, once
    somebody waited in vain."""
    uploads: int = Field(default=4, ge=1)
    """Files that are received at once for jobs; more are answered 503."""
    connections: int = Field(default=1_000, ge=1)
    head_seconds: float = Field(default=10, gt=0)
    """From a connection or the first byte of a request to the end of its head."""
    body_seconds: float = Field(default=10, gt=0)
    """For a body, and a second more for each 16 kB that arrived."""
    stall_seconds: float = Field(default=10, gt=0)
    """How long an answer may go unread, before the connection is cut."""
    unread_bytes: int = Field(default=96_000_000, ge=1)
    """Answered and not yet read, by all connections together; beyond, the slowest are cut off."""
    requests_per_second: float = Field(default=0, ge=0)
    """Of one key, or of one address where there are no keys; 0 is no limit."""


class JobLimits(_Group):
    """What files that are located in the background may take."""

    workers: int = Field(default=1, ge=1)
    """Files that are located at once."""
    kept: int = Field(default=20, ge=1)
    """Jobs that wait, run, or have results to be fetched."""
    keep_seconds: float = Field(default=3_600, gt=0)
    """How long a result is kept."""
    seconds: float = Field(default=600, gt=0)
    """How long a file may take, by the clock."""
    work_seconds: float = Field(default=60, gt=0)
    """Work of a processor that a file may take, or `work_seconds_of_mb` for each MB of it if that
    is more: a small file that takes longer was made to."""
    work_seconds_of_mb: float = Field(default=4, gt=0)
    """A workbook takes 2.4, Parquet up to 0.6, CSV 0.1."""
    memory_bytes: int = Field(default=1 << 30, ge=1 << 29)
    """Memory of the process that reads a file; it takes 220 MB for itself, and 480 MB with a
    Parquet of 8.4 million rows."""
    result_bytes: int = Field(default=1 << 32, ge=1)
    """A file that is written."""
    disk_bytes: int = Field(default=1 << 33, ge=1)
    """All files of all jobs; beyond, no more are taken."""


class Basemap(_Group):
    """A map of others below ours, fetched by this service so that its key stays here."""

    token: SecretStr | None = None
    """Key of the Tianditu services (https://console.tianditu.gov.cn); no basemap without one."""
    template: str = ""
    """Address of a tile with {layer}, {z}, {x}, {y}, {key}; Tianditu's where it is empty."""
    referer: str = ""
    """Site that a browser key is bound to."""
    folder: Path | None = None
    """Where tiles are kept; the user's cache folder where none is given."""
    cache_bytes: int = Field(default=500_000_000, ge=0)
    daily_limit: int = Field(default=9_000, ge=1)
    """Requests that may be sent in a day for one layer."""
    seconds: float = Field(default=10, gt=0)
    """How long to wait for a tile."""


class Settings(BaseSettings):
    """What to serve, where to listen, who may ask, and how much.

    Examples
    --------
    >>> Settings(edition="city.gpkg").port
    8000
    """

    model_config = SettingsConfigDict(
        env_prefix="GEOGRID_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    edition: Path
    imagery: Path | None = None
    incidents: Path | None = None
    """Located incidents: a file, or a folder of them."""
    items: Path | None = None
    """List of the items that incidents are reported by, for counts by category."""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    keys: tuple[str, ...] = ()
    """Lines as `geogrid key` prints them: name, scopes, hash."""
    keys_file: Path | None = None
    """File with more such lines."""
    cors_origins: tuple[str, ...] = ()
    """Pages of other origins that may ask, such as `https://platform.example`."""
    hosts: tuple[str, ...] = ()
    """Names that the service answers to, without ports. By default any where keys are needed, and
    only names of this machine where they are not: a page of the internet whose name suddenly leads
    here could read everything."""
    access_log: str = "-"
    """File to append to; `-` is standard error, an empty text none."""
    reload_seconds: float = Field(default=2.0, ge=0)
    """How often to look whether the file of the edition changed; 0 is never."""
    limits: Limits = Limits()
    jobs: JobLimits = JobLimits()
    basemap: Basemap = Basemap()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # part of the signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Rank the sources: arguments, environment, file."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, _kept(FILE))

    @model_validator(mode="after")
    def _names(self) -> Self:
        origins = [each for each in self.cors_origins if not _ORIGIN.fullmatch(each)]
        if origins:
            raise ValueError(
                f"cors_origins: {origins[0]} is not written as https://host or https://host:port; "
                "there is no * either"
            )
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def read(given: dict[str, Any]) -> Settings:
    """Return the settings; what is `given`, unless None, wins over environment and file.

    Raises
    ------
    UsageError
        A value is missing, unknown or cannot be right.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise UsageError(_explained(error)) from error


def _kept(path: Path) -> dict[str, Any]:
    """Return the table of the file; empty where there is none."""
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text("utf-8")).get(TABLE, {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.resolve()} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(f"{path.resolve()}: {TABLE} is not a table; write [{TABLE}] above it.")
    return table


def _explained(error: ValidationError) -> str:
    said = []
    for item in error.errors(include_input=False, include_url=False):
        name = ".".join(map(str, item["loc"]))
        text = str(item["msg"]).removeprefix("Value error, ")
        said.append(f"{name}: {text[:1].lower()}{text[1:]}" if name else text)
    return (
        f"the service cannot be started as it is set up: {'; '.join(said)}. Correct it on the "
        f"command line, in GEOGRID_… of the environment, or in [{TABLE}] of {FILE}."
    )
