"""Energy and carbon by codecarbon, kept offline: it opens no connection, writes no file and prints nothing."""

from __future__ import annotations

import tempfile
from importlib import import_module
from typing import Any, Dict, List, Optional, Tuple

from .readings import UNITS, Reasons, Unavailable

SECONDS = 15.0
"""Between codecarbon's own measurements."""
ESTIMATES = {"cpu_load": "estimated from its load", "constant": "taken as a constant"}
"""Ways of codecarbon that measure no energy."""
NO_INTENSITY = (
    "how much carbon a kWh stands for is not known: "
    + "set the country (PLLIB_COUNTRY=DEU) or the g CO2eq/kWh (PLLIB_CARBON_INTENSITY=380)"
)


class Listener:
    """Takes codecarbon's figures in the place of its files and services."""

    def __init__(self) -> None:
        self.last: Any = None

    def out(self, total: Any, delta: Any) -> None:
        self.last = total

    def live_out(self, total: Any, delta: Any) -> None:
        self.last = total

    def task_out(self, data: Any, experiment_name: str) -> None:
        """Of tasks, codecarbon's notion, there are none."""

    def exit(self) -> None:
        """Nothing to close."""


class CodeCarbon:
    """What codecarbon measures or estimates from now on, for the whole machine unless its own configuration says otherwise.

    Args:
        country: ISO 3166 code of three letters; else the one in codecarbon's own configuration.
        intensity: g CO2eq/kWh; wins over the country.

    Raises:
        Unavailable: it is not installed, or gives no figures here.
    """

    def __init__(self, country: Optional[str], intensity: Optional[float]) -> None:
        package = _package()
        self.unavailable: Reasons = {}
        self._listener = Listener()
        self._log = import_module("codecarbon.external.logger").logger
        self._level = self._log.level
        self._log.setLevel("CRITICAL")
        known, reason = _intensity(country, intensity)
        # Every way out that its configuration may open is closed by name.
        self._tracker = package.OfflineEmissionsTracker(
            **(known or {"country_iso_code": None, "force_carbon_intensity_g_co2e_kwh": 0.0}),
            cloud_provider=None,
            cloud_region=None,
            electricitymaps_api_token="",
            emissions_endpoint=None,
            output_methods=[],
            output_handlers=[self._listener],
            output_dir=tempfile.gettempdir(),
            api_call_interval=-1,
            measure_power_secs=SECONDS,
            allow_multiple_runs=True,
            log_level="critical",
        )
        self._tracker.start()
        self._tracker.flush()
        if self._listener.last is None:
            self.stop()
            raise Unavailable(f"codecarbon {package.__version__} gives no figures on this machine")
        hardware = _hardware(self._tracker)
        self._names = _names(hardware, self._listener.last.gpu_count, reason, self.unavailable)
        told = ", ".join(f"{part} {how}" for part, how in sorted(hardware.items()))
        self.source = f"codecarbon {package.__version__}: {told}"

    def read(self) -> Dict[str, float]:
        """Its nine values by now, without those of hardware that there is not."""
        self._tracker.flush()
        return self._values()

    def stop(self) -> Dict[str, float]:
        """The values at the end; lets its threads end, and its log speak again."""
        self._tracker.stop()
        self._log.setLevel(self._level)
        return self._values() if self._listener.last is not None else {}

    def _values(self) -> Dict[str, float]:
        return {name: float(getattr(self._listener.last, name)) for name in self._names}


def _package() -> Any:
    try:
        return import_module("codecarbon")
    except ImportError as error:
        raise Unavailable(f"codecarbon cannot be imported ({error}): pip install 'pllib[energy]'") from error


def _intensity(country: Optional[str], intensity: Optional[float]) -> Tuple[Optional[Dict[str, Any]], str]:
    """Arguments of codecarbon that say how much carbon a kWh stands for, or ``None`` and the reason.

    It would take the mean of the world for a country that it does not know.
    """
    own = import_module("codecarbon.core.config").get_hierarchical_config()
    if intensity is None and country is None:
        intensity = _number(own.get("force_carbon_intensity_g_co2e_kwh"))
    if intensity is not None:
        return {"country_iso_code": None, "force_carbon_intensity_g_co2e_kwh": intensity}, ""
    country = country or own.get("country_iso_code")
    if not country:
        return None, NO_INTENSITY
    data = import_module("codecarbon.input").DataSource().get_global_energy_mix_data()
    if country.upper() not in data:
        return None, f"codecarbon knows no country {country!r}: give its code of three letters, as in PLLIB_COUNTRY=DEU"
    return {"country_iso_code": country.upper(), "force_carbon_intensity_g_co2e_kwh": None}, ""


def _number(text: Any) -> Optional[float]:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _hardware(tracker: Any) -> Dict[str, str]:
    """Part of the machine to how codecarbon gets at its energy. It keeps this to itself, so nothing is said where that changes."""
    found: Dict[str, str] = {}
    for part in getattr(tracker, "_hardware", ()):
        kind = type(part).__name__
        name = str(getattr(part, "chip_part", kind)).lower()
        if kind == "RAM":
            found[name] = "estimated from its size"
        else:
            found[name] = ESTIMATES.get(getattr(part, "_mode", ""), "measured")
    return found


def _names(hardware: Dict[str, str], gpus: Any, reason: str, unavailable: Reasons) -> List[str]:
    """Names of the values that stand for something here; why the others do not is noted."""
    absent: Reasons = {}
    if not gpus:
        absent.update(dict.fromkeys(("gpu_power", "gpu_energy"), "codecarbon finds no GPU"))
    if hardware and "cpu" not in hardware:
        absent.update(dict.fromkeys(("cpu_power", "cpu_energy"), "codecarbon finds no way to the CPU's energy"))
    if reason:
        absent.update(dict.fromkeys(("emissions", "emissions_rate"), reason))
    unavailable.update(absent)
    return [name for name in UNITS if name not in absent]
