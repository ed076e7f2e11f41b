"""CreateFunction, GetFunction, ListFunctions, the two updates, and DeleteFunction."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from fnframe import ConfigurationError

from ..declare import checked
from ..names import LATEST
from ..resolve import LONGEST_NAME, missing
from ..spec import Spec
from ..wire import Answer, conflict, invalid, json_answer, outdated, violated
from . import bodies, views
from .checks import LARGEST_BODY, check_configured, check_tags, matching, moved_on, refuse
from .code import LARGEST_REQUEST
from .paging import page
from .records import Configuration, Record
from .served import WHERE
from .versions import publish

if TYPE_CHECKING:
    from ..request import Request
    from .bodies import Configured
    from .code import Code
    from .plane import Plane

NAME = r"[a-zA-Z0-9-_]+"


async def create(plane: Plane, request: Request) -> Answer:
    """`POST /2015-03-31/functions`"""
    body = await request.members(LARGEST_REQUEST, bodies.CreateFunction, "CreateFunction")
    name = plane.named(body.function_name).name
    refuse(matching(name, "functionName", NAME, LONGEST_NAME))
    refuse([(None, member, "Member must not be null") for member in ("role",) if body.role is None])
    check_configured(body)
    check_tags(body.tags)
    if body.package_type != "Zip" or body.code.image_uri or body.code_signing_config_arn:
        raise invalid("Container images and signed code are not here: send the code as an archive, in Code.ZipFile")
    if not body.handler and not (body.runtime or "").startswith("provided"):
        raise invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
    async with plane.changing:
        if name in plane.store.functions or plane.declared(name) is not None:
            raise conflict(f"Function already exist: {name}")
        blank = Configuration(code="", code_size=0, handler="", runtime="", role="", architecture=body.architectures[0])
        latest = _configured(name, blank, body).touched()
        code = await _code(plane, body.code)
        latest = replace(latest, code=code.digest, code_size=code.size)
        record = Record(name=name, latest=latest, tags=body.tags)
        version = LATEST
        if body.publish:
            record, version = publish(record)
        await plane.keep(record)
    qualifier = version if body.publish else None
    configuration = record.version(version)
    assert configuration is not None
    return json_answer(201, views.configuration(plane.account, name, configuration, qualifier, views.CREATING))


async def get(plane: Plane, request: Request, function: str) -> Answer:
    """`GET /2015-03-31/functions/{FunctionName}`"""
    name, qualifier = plane.named(function, request.query().get("Qualifier"))
    told: dict[str, Any] = {"Configuration": view(plane, name, qualifier)}
    location = f"{request.base}/lambda-code/"
    record = plane.store.functions.get(name)
    if record is not None:
        location += base64.b64decode(told["Configuration"]["CodeSha256"]).hex()
        if record.tags:
            told["Tags"] = record.tags
        if record.reserved is not None:
            told["Concurrency"] = {"ReservedConcurrentExecutions": record.reserved}
    told["Code"] = {"RepositoryType": "S3", "Location": location}
    return json_answer(200, told)


async def get_configuration(plane: Plane, request: Request, function: str) -> Answer:
    """`GET /2015-03-31/functions/{FunctionName}/configuration`"""
    name, qualifier = plane.named(function, request.query().get("Qualifier"))
    return json_answer(200, view(plane, name, qualifier))


async def get_code(plane: Plane, request: Request, digest: str) -> Answer:
    """Where GetFunction says that the archive is."""
    try:
        data = await plane.store.archive(base64.b64encode(bytes.fromhex(digest)).decode())
    except ValueError:
        data = None
    if data is None:
        raise missing(plane.account, digest)
    return Answer(200, data, content_type=b"application/zip")


async def list_(plane: Plane, request: Request) -> Answer:
    """`GET /2015-03-31/functions`: the app's own functions too."""
    account = plane.account
    qualifier = None
    if (wanted := request.query().get("FunctionVersion")) is not None:
        if wanted != "ALL":
            raise violated((wanted, "functionVersion", "Member must satisfy enum value set: [ALL]"))
        qualifier = LATEST
    listed: dict[tuple[str, int], dict[str, Any]] = {}
    for function in plane.all_declared():
        listed[function.name, 0] = views.declared(account, function, qualifier, views.LISTED)
    for record in plane.store.functions.values():
        for each in record.versions() if qualifier else [record.latest]:
            number = 0 if each.version == LATEST else int(each.version)
            arn = each.version if qualifier else None
            listed[record.name, number] = views.configuration(account, record.name, each, arn, views.LISTED)
    # A space comes before all that names are made of, so that this is the order of the pairs too.
    return page(request, "Functions", sorted(listed), lambda key: f"{key[0]} {key[1]:09d}", listed.__getitem__)


async def update_code(plane: Plane, request: Request, function: str) -> Answer:
    """`PUT /2015-03-31/functions/{FunctionName}/code`"""
    body = await request.members(LARGEST_REQUEST, bodies.UpdateCode, "UpdateFunctionCode")
    name = plane.named(function).name
    async with plane.changing:
        record = plane.record(name)
        if moved_on(body.revision_id, record.latest.revision):
            raise outdated()
        code = await _code(plane, body)
        architecture = record.latest.architecture if body.architectures is None else body.architectures[0]
        latest = replace(record.latest, code=code.digest, code_size=code.size, architecture=architecture).touched()
        record = replace(record, latest=latest)
        if body.dry_run:
            await plane.store.drop_archives({code.digest})
            return json_answer(200, views.configuration(plane.account, name, latest, None, views.ACTIVE))
        version = LATEST
        if body.publish:
            record, version = publish(record)
        await plane.keep(record)
    configuration = record.version(version)
    assert configuration is not None
    state = views.ACTIVE | views.UPDATING
    qualifier = version if body.publish else None
    return json_answer(200, views.configuration(plane.account, name, configuration, qualifier, state))


async def update_configuration(plane: Plane, request: Request, function: str) -> Answer:
    """`PUT /2015-03-31/functions/{FunctionName}/configuration`"""
    body = await request.members(LARGEST_BODY, bodies.UpdateConfiguration, "UpdateFunctionConfiguration")
    name = plane.named(function).name
    check_configured(body)
    async with plane.changing:
        record = plane.record(name)
        if moved_on(body.revision_id, record.latest.revision):
            raise outdated()
        latest = _configured(name, record.latest, body).touched()
        await plane.keep(replace(record, latest=latest))
    state = views.ACTIVE | views.UPDATING
    return json_answer(200, views.configuration(plane.account, name, latest, None, state))


async def delete(plane: Plane, request: Request, function: str) -> Answer:
    """`DELETE /2015-03-31/functions/{FunctionName}`: all of it, or one version that no alias points at."""
    name, qualifier = plane.named(function, request.query().get("Qualifier"))
    async with plane.changing:
        record = plane.record(name)
        if qualifier is None:
            await plane.remove(record)
            return Answer(204)
        if qualifier == LATEST or not qualifier.isdigit():
            raise invalid(f"$LATEST and aliases cannot be deleted by {name}:{qualifier}: only published versions can")
        pointing = [alias for alias, of in record.aliases.items() if qualifier in of.versions()]
        if pointing:
            arns = ", ".join(plane.account.function_arn(name, alias) for alias in pointing)
            raise conflict(f"Unable to delete version because the following aliases reference it: [{arns}]")
        kept = {
            member: {key: value for key, value in getattr(record, member).items() if key != qualifier}
            for member in ("published", "provisioned", "on_events")
        }
        await plane.keep(replace(record, **kept))
    return Answer(204)


def view(plane: Plane, name: str, qualifier: str | None) -> dict[str, Any]:
    """FunctionConfiguration of a name and a qualifier. Raises `ApiError`."""
    record = plane.store.functions.get(name)
    if record is None:
        function = plane.declared(name)
        if function is None or qualifier not in (None, LATEST):
            raise missing(plane.account, name, qualifier)
        return views.declared(plane.account, function, qualifier, views.ACTIVE)
    configuration = record.version(qualifier)
    if configuration is None:
        raise missing(plane.account, name, qualifier)
    return views.configuration(plane.account, name, configuration, qualifier, views.ACTIVE)


async def _code(plane: Plane, body: bodies.FunctionCode) -> Code:
    if body.zip_file is None:
        what = "S3Bucket" if body.s3_bucket else "ImageUri" if body.image_uri else "nothing"
        raise invalid(f"Please provide a source for function code: ZipFile is what this server takes, found {what}")
    return await plane.codes.take(body.zip_file)


def _configured(name: str, before: Configuration, body: Configured) -> Configuration:
    """A configuration with the members that a request names. Raises `ApiError` for what would not run."""

    def chosen(value: Any, present: Any) -> Any:
        return present if value is None else value

    logging = body.logging_config or bodies.Logging()
    after = replace(
        before,
        handler=chosen(body.handler, before.handler),
        runtime=chosen(body.runtime, before.runtime),
        role=chosen(body.role, before.role),
        description=chosen(body.description, before.description),
        timeout=chosen(body.timeout, before.timeout),
        memory=chosen(body.memory_size, before.memory),
        variables=before.variables if body.environment is None else body.environment.variables,
        storage=before.storage if body.ephemeral_storage is None else body.ephemeral_storage.size,
        tracing=before.tracing if body.tracing_config is None else body.tracing_config.mode,
        log_format=chosen(logging.log_format, before.log_format),
        log_group=chosen(logging.log_group, before.log_group),
        application_log_level=chosen(logging.application_log_level, before.application_log_level),
        system_log_level=chosen(logging.system_log_level, before.system_log_level),
    )
    levels = logging.application_log_level or logging.system_log_level
    if levels and after.log_format == "Text":
        raise invalid("To set ApplicationLogLevel or SystemLogLevel, you must set LogFormat to JSON.")
    if after.log_format == "Text":
        after = replace(after, application_log_level="", system_log_level="")
    try:
        checked(Spec(handler=after.handler, runtime=after.runtime), name, {}, WHERE)
    except ConfigurationError as error:
        raise invalid(error.problem) from None
    return after
