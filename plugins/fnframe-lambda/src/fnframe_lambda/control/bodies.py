"""The bodies of control requests, as clients write them. What is absent is None: an update leaves it as it is."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .records import Cors


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", forbid_unknown_fields=True):
    """A member that is not known here is refused: what Lambda means by it would not happen."""


class FunctionCode(Body, frozen=True, kw_only=True):
    zip_file: str | None = None
    s3_bucket: str | None = msgspec.field(default=None, name="S3Bucket")
    s3_key: str | None = msgspec.field(default=None, name="S3Key")
    s3_object_version: str | None = msgspec.field(default=None, name="S3ObjectVersion")
    image_uri: str | None = None


class Variables(Body, frozen=True, kw_only=True):
    variables: dict[str, str] = {}


class Storage(Body, frozen=True, kw_only=True):
    size: int


class Tracing(Body, frozen=True, kw_only=True):
    mode: Literal["Active", "PassThrough"] = "PassThrough"


class SnapStart(Body, frozen=True, kw_only=True):
    apply_on: Literal["PublishedVersions", "None"] = "None"


class Logging(Body, frozen=True, kw_only=True):
    log_format: Literal["JSON", "Text"] | None = None
    application_log_level: Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] | None = None
    system_log_level: Literal["DEBUG", "INFO", "WARN"] | None = None
    log_group: str | None = None


class Configured(Body, frozen=True, kw_only=True):
    """What CreateFunction and UpdateFunctionConfiguration have in common. The members behind `snap_start` are what
    would change what runs, and is not here: they are refused where they say something."""

    role: str | None = None
    handler: str | None = None
    runtime: str | None = None
    description: str | None = None
    timeout: int | None = None
    memory_size: int | None = None
    environment: Variables | None = None
    ephemeral_storage: Storage | None = None
    tracing_config: Tracing | None = None
    logging_config: Logging | None = None
    snap_start: SnapStart | None = None
    kms_key_arn: str | None = msgspec.field(default=None, name="KMSKeyArn")
    vpc_config: dict[str, Any] | None = None
    dead_letter_config: dict[str, Any] | None = None
    layers: list[str] | None = None
    file_system_configs: list[Any] | None = None
    image_config: dict[str, Any] | None = None
    tenancy_config: dict[str, Any] | None = None
    capacity_provider_config: dict[str, Any] | None = None
    durable_config: dict[str, Any] | None = None


class CreateFunction(Configured, frozen=True, kw_only=True):
    function_name: str
    code: FunctionCode
    publish: bool = False
    package_type: Literal["Zip", "Image"] = "Zip"
    architectures: tuple[Literal["x86_64", "arm64"]] = ("x86_64",)
    tags: dict[str, str] = {}
    code_signing_config_arn: str | None = None


class UpdateConfiguration(Configured, frozen=True, kw_only=True):
    revision_id: str | None = None


class UpdateCode(FunctionCode, frozen=True, kw_only=True):
    publish: bool = False
    dry_run: bool = False
    revision_id: str | None = None
    architectures: tuple[Literal["x86_64", "arm64"]] | None = None


class PublishVersion(Body, frozen=True, kw_only=True):
    code_sha256: str | None = msgspec.field(default=None, name="CodeSha256")
    description: str | None = None
    revision_id: str | None = None


class Routing(Body, frozen=True, kw_only=True):
    additional_version_weights: dict[str, float] | None = None


class UpdateAlias(Body, frozen=True, kw_only=True):
    function_version: str | None = None
    description: str | None = None
    routing_config: Routing | None = None
    revision_id: str | None = None


class CreateAlias(UpdateAlias, frozen=True, kw_only=True):
    name: str


class Concurrency(Body, frozen=True, kw_only=True):
    reserved_concurrent_executions: int


class ProvisionedConcurrency(Body, frozen=True, kw_only=True):
    provisioned_concurrent_executions: int


class Target(Body, frozen=True, kw_only=True):
    destination: str | None = None


class Destinations(Body, frozen=True, kw_only=True):
    on_success: Target = Target()
    on_failure: Target = Target()


class EventInvokeConfig(Body, frozen=True, kw_only=True):
    maximum_retry_attempts: int | None = None
    maximum_event_age_in_seconds: int | None = None
    destination_config: Destinations | None = None


class UpdateUrl(Body, frozen=True, kw_only=True):
    auth_type: Literal["NONE", "AWS_IAM"] | None = None
    cors: Cors | None = None
    invoke_mode: Literal["BUFFERED", "RESPONSE_STREAM"] | None = None


class CreateUrl(UpdateUrl, frozen=True, kw_only=True):
    auth_type: Literal["NONE", "AWS_IAM"]


class Filter(Body, frozen=True, kw_only=True):
    pattern: str


class Filters(Body, frozen=True, kw_only=True):
    filters: list[Filter] = []


class Scaling(Body, frozen=True, kw_only=True):
    maximum_concurrency: int | None = None


class UpdateMapping(Body, frozen=True, kw_only=True):
    function_name: str | None = None
    enabled: bool | None = None
    batch_size: int | None = None
    filter_criteria: Filters | None = None
    maximum_batching_window_in_seconds: int | None = None
    parallelization_factor: int | None = None
    destination_config: Destinations | None = None
    maximum_record_age_in_seconds: int | None = None
    bisect_batch_on_function_error: bool | None = None
    maximum_retry_attempts: int | None = None
    tumbling_window_in_seconds: int | None = None
    function_response_types: list[Literal["ReportBatchItemFailures"]] | None = None
    scaling_config: Scaling | None = None


class CreateMapping(UpdateMapping, frozen=True, kw_only=True):
    function_name: str
    event_source_arn: str | None = None
    starting_position: Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"] | None = None
    starting_position_timestamp: float | None = None
    tags: dict[str, str] = {}


class TagResource(Body, frozen=True, kw_only=True):
    tags: dict[str, str]
