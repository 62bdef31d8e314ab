"""Check that the installed wheel holds every bundled dataset and every model, and loads them.

Run it with the Python of an environment that has only the wheel, outside the checkout, with -I.
"""

import sys
import tomllib
from pathlib import Path

import bayesma as bm

CHECKOUT = Path(__file__).resolve().parents[1]
INSTALLED = Path(bm.__file__).resolve().parent


def bundled_tables(data: Path) -> dict[tuple[str, str], int]:
    """Rows of each bundled table by dataset and table, as each dataset.toml tells them."""
    rows: dict[tuple[str, str], int] = {}
    for path in sorted(data.glob("*/dataset.toml")):
        card = tomllib.loads(path.read_text(encoding="utf-8"))
        if card["bundled"]:
            rows |= {
                (path.parent.name, name): table["rows"] for name, table in card["tables"].items()
            }
    return rows


def model_names(models: Path) -> list[str]:
    """Names of the models in a folder."""
    return sorted(path.stem for path in models.glob("*.toml"))


def shipping_faults(tables: dict[tuple[str, str], int], models: list[str]) -> list[str]:
    """What the checkout bundles and the wheel does not, or the other way round, as sentences."""
    found = []
    if INSTALLED.is_relative_to(CHECKOUT):
        found.append(f"bayesma comes from the checkout, not from a wheel: {INSTALLED}")
    if not tables or not models:
        found.append(f"the checkout bundles {len(tables)} tables and {len(models)} models")
    shipped = bundled_tables(INSTALLED / "data")
    if shipped != tables:
        found.append(f"the wheel holds the tables {shipped}, the checkout {tables}")
    if model_names(INSTALLED / "models") != models:
        found.append(f"the wheel holds {model_names(INSTALLED / 'models')}, the checkout {models}")
    return found


def loading_faults(tables: dict[tuple[str, str], int], models: list[str]) -> list[str]:
    """Datasets left out of the list and tables with other rows than told; a model raises."""
    found = []
    listed = bm.datasets()
    names = set(listed.loc[listed["bundled"].astype(bool), "name"])
    if names != {name for name, _ in tables}:
        found.append(f"datasets() lists {sorted(names)} as bundled, dataset.toml files {tables}")
    for (name, table), rows in tables.items():
        loaded = len(bm.load_dataset(name, table=table))
        if loaded != rows:
            found.append(f"dataset {name}, table {table}: {loaded} rows, expected {rows}")
    for model in models:
        bm.load_spec(model)
    return found


def main() -> int:
    tables = bundled_tables(CHECKOUT / "data")
    models = model_names(CHECKOUT / "models")
    found = shipping_faults(tables, models) or loading_faults(tables, models)
    if found:
        print("The wheel is not whole:", *found, sep="\n  ", file=sys.stderr)
        return 1
    print(f"The wheel holds and loads {len(tables)} tables and {len(models)} models")
    return 0


if __name__ == "__main__":
    sys.exit(main())
