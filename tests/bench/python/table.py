"""What was measured, as JSON: one table, with a row for each alternative and all of its rounds."""

from __future__ import annotations

import json


class Table:
    """All values of all rounds of each alternative, as the report wants them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[str, dict[str, list[float]]] = {}

    def add(self, row: str, metric: str, value: float) -> None:
        self.rows.setdefault(row, {}).setdefault(metric, []).append(round(value, 4))

    def print(self) -> None:
        rows = [{"name": name, "metrics": metrics} for name, metrics in self.rows.items()]
        print(json.dumps({"table": self.name, "rows": rows}), flush=True)
