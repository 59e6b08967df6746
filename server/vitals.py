"""What a process feels of itself, for /metrics: how late its event loop is, what its disk has left, its certificate."""

from __future__ import annotations

import asyncio
import shutil

from cryptography import x509

from server import __version__, metrics
from server.settings import Settings

LOOK_EVERY = 0.5  # seconds
#: looks between two at the disk
_DISK_EVERY = 20


class Vitals:
    """Looks at the process between `start` and `stop`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        metrics.BUILD.info({"version": __version__})
        metrics.CERTIFICATE_END.set(self._certificate_end())
        self._task = asyncio.create_task(self._run(), name="vitals")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        looks = 0
        while True:
            if looks % _DISK_EVERY == 0:
                metrics.DATA_FREE.set(await asyncio.to_thread(self._free))
            looks += 1
            wanted = loop.time() + LOOK_EVERY
            await asyncio.sleep(LOOK_EVERY)
            metrics.LOOP_LAG.observe(max(0.0, loop.time() - wanted))

    def _free(self) -> float:
        try:
            return shutil.disk_usage(self._settings.data_dir).free
        except OSError:
            return float("nan")

    def _certificate_end(self) -> float:
        if not self._settings.tls:
            return 0.0
        try:
            pem = (self._settings.data_dir / "tls" / "server.pem").read_bytes()
        except OSError:
            return 0.0
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
