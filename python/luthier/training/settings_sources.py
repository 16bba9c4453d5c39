"""Where settings come from: a YAML file, `--set key=value` assignments and flags. Flags win over --set, --set over the
file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from luthier.errors import InputError
from luthier.training.settings import canonical_key, spell


def read_settings_file(path: str | Path) -> dict[str, Any]:
    """The flat settings in a YAML file, under canonical keys.

    Raises InputError, with file and line, when the file is missing, is no YAML mapping, or has an unknown or repeated
    key.
    """
    import yaml

    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"{path}: cannot read the settings file: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: the settings file is not UTF-8") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark is not None else f"{path}"
        raise InputError(f"{place}: not valid YAML: {getattr(error, 'problem', None) or error}") from None
    if tree is None:
        return {}
    if not isinstance(tree, yaml.MappingNode) or not isinstance(values, dict):
        raise InputError(f"{path}: a settings file is a list of 'key: value' lines, such as 'rank: 16'")
    seen: dict[str, Any] = {}
    for key_node, _ in tree.value:
        where = f"{path}:{key_node.start_mark.line + 1}"
        key = canonical_key(key_node.value, where)
        if key in seen:
            raise InputError(f"{where}: '{spell(key)}' is given twice")
        seen[key] = None
    return {canonical_key(key): value for key, value in values.items()}


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """`["rank=8", "targets=[q_proj, v_proj]"]` as flat settings; values are read as YAML, later ones win.

    Raises InputError for an unknown key or an assignment without `=`.
    """
    import yaml

    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"--set {assignment}: write key=value, such as --set rank=8")
        name = canonical_key(key, "--set")
        try:
            values[name] = yaml.safe_load(text)
        except yaml.YAMLError:
            values[name] = text
    return values


def merge_settings(
    flags: Mapping[str, Any], assignments: Sequence[str] = (), config: str | Path | None = None
) -> dict[str, Any]:
    """One flat mapping under canonical keys; flags that are None were not given."""
    merged = read_settings_file(config) if config is not None else {}
    merged.update(parse_assignments(assignments))
    merged.update({canonical_key(key): value for key, value in flags.items() if value is not None})
    return merged
