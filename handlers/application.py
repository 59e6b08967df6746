"""All routes, from a Services object."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from tornado.web import Application

from handlers import openapi, reference
from handlers.api import OperationHandler, UnknownHandler
from handlers.client import AssetHandler, PageHandler
from handlers.edge import SecurityHeaders, quiet_log
from handlers.health import LiveHandler, MetricsHandler, ReadyHandler
from handlers.operations import BASE, Operation
from handlers.socket import SocketHandler
from server.errors import StartupError

if TYPE_CHECKING:
    from server.services import Services

Route = tuple[str, Any] | tuple[str, Any, dict[str, Any]]


def operation_routes(operations: list[Operation]) -> list[Route]:
    """One route per path, with its operations by method. Fixed paths come before those with parameters."""
    paths: dict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in operations:
        if operation.method in paths[operation.path]:
            raise ValueError(f"{operation.method} {operation.path} is there twice")
        paths[operation.path][operation.method] = operation
    ordered = sorted(paths.values(), key=lambda methods: next(iter(methods.values())).path.count("{"))
    return [(next(iter(methods.values())).pattern, OperationHandler, {"operations": methods}) for methods in ordered]


def check_proxies(proxies: tuple[str, ...]) -> None:
    """Raises StartupError `bad_setting` for what is neither an address nor a network."""
    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError as fault:
            raise StartupError("bad_setting", f"VOUCH_TRUSTED_PROXIES: {fault}.") from None


def make_application(services: Services) -> Application:
    """The whole edge: operations, socket, health, reference pages and the web client."""
    settings = services.settings
    check_proxies(settings.trusted_proxies)
    assets = settings.static_dir / "assets"
    routes: list[Route] = [
        (BASE + r"/socket", SocketHandler, {"services": services}),
        (BASE + r"/openapi\.json", reference.DocumentHandler),
        *operation_routes(openapi.all_operations()),
        (r"/api(?:/.*)?", UnknownHandler),
        (r"/healthz", LiveHandler),
        (r"/readyz", ReadyHandler),
        (r"/metrics", MetricsHandler),
        (r"/docs", reference.PageHandler),
        (r"/docs\.css", reference.StyleHandler),
        (r"/assets/(.*)", AssetHandler, {"path": str(assets)}),
        (r"/(.*)", PageHandler, {"root": settings.static_dir}),
    ]
    transforms: list[Any] = [partial(SecurityHeaders, proxies=settings.trusted_proxies)]
    return Application(
        routes,
        default_handler_class=UnknownHandler,
        services=services,
        cookie_secret={key.number: key.secret for key in services.keys.cookie.keys},
        key_version=services.keys.cookie.current.number,
        xsrf_cookie_kwargs={"samesite": "Lax", "path": "/"},
        transforms=transforms,
        log_function=quiet_log,
    )
