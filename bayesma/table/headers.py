"""Which header holds which canonical column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from bayesma.errors import nearest
from bayesma.schema import ARMS, COLUMNS, EFFECT, SIDES, SUMMARIES
from bayesma.table.checker import Checker
from bayesma.table.summaries import INSTEAD, supplied

__all__ = ["map_headers", "require_columns"]

# Below this likeness an unknown header is a covariate of the reviewer's own, above it a typo.
TYPO = 0.8
# Short names of columns that few tables hold: "bw_control" is no misspelt "q1_control".
_NO_TYPO = {f"{name}_{side}" for name in SUMMARIES for side in SIDES}
# A column of standard errors that calls itself an SD halves the intervals, or worse.
_ERROR = "(?:se|sem|stderr|stderror|standarderror)(?:ofmean|ofthemean|mean)?(?:of|ofthe)?"
_WORDS = {"treated": "treated|treatment", "control": "controls?|ctrl"}
_SEM = {
    side: re.compile(f"{_ERROR}(?:{words})|(?:{words}){_ERROR}") for side, words in _WORDS.items()
}
# What other programs call these columns: metafor's escalc, meta's metacont, RevMan's export.
ELSEWHERE = {
    "study": ("studlab", "slab", "study_or_subgroup"),
    "mean_treated": ("m1i", "mean.e", "mean_1"),
    "sd_treated": ("sd1i", "sd.e", "sd_1"),
    "n_treated": ("n1i", "n.e", "total_1"),
    "mean_control": ("m2i", "mean.c", "mean_2"),
    "sd_control": ("sd2i", "sd.c", "sd_2"),
    "n_control": ("n2i", "n.c", "total_2"),
    "y": ("yi", "te"),
    "v": ("vi",),
    "se": ("sei", "sete"),
}
_BRACKET = re.compile(r"\s*[(\[].*")


def map_headers(check: Checker, columns: Mapping[str, str]) -> None:
    """Decide which header holds which canonical column."""
    doubled = {header for header, count in Counter(check.headers).items() if count > 1}
    for header in sorted(doubled):
        check.fault(None, header, "stands more than once", "rename one of them")
    check.doubled = {_canonical(header) for header in doubled} & set(COLUMNS)
    for name, header in columns.items():
        _map_explicitly(check, name, str(header), doubled)
    free = [h for h in check.headers if h not in doubled | set(check.names.values())]
    holders: dict[str, str] = {}
    for header in free:
        name = _canonical(header)
        if name in COLUMNS and name not in columns:
            if name in holders:
                problem = f"reads as '{name}', and so does '{holders[name]}'"
                check.fault(None, header, problem, "rename one of them")
            holders.setdefault(name, header)
    check.names |= holders
    _refuse_typos(check, [h for h in free if _canonical(h) not in COLUMNS])


def _map_explicitly(check: Checker, name: str, header: str, doubled: Collection[str]) -> None:
    near = None if name in COLUMNS or name == header else nearest(name, COLUMNS, TYPO)
    if near is not None:
        problem = f"is mapped to '{name}', which is not a known column"
        check.fault(None, header, problem, f"did you mean '{near}'?")
    elif header not in check.headers:
        like = nearest(header, check.headers)
        hint = "" if like is None else f"; the nearest is '{like}'"
        remedy = f"correct the mapping of '{name}'"
        check.fault(None, header, f"is not in the table{hint}", remedy)
    elif header not in doubled:
        check.names[name] = header


def _refuse_typos(check: Checker, extras: Iterable[str]) -> None:
    told = set(_NO_TYPO)
    for header in extras:
        if not _standard_error(header, check.names) and _refuse_unclear(check, header):
            continue
        absent = [name for name in COLUMNS if name not in check.names and name not in told]
        sem = _standard_error(header, check.names)
        near = sem or _like(header, absent)
        if near is not None and (sem or not _is_kin(_canonical(header), near)):
            keep = f"keep it with columns={{'{header}': '{header}'}}"
            problem = f"is not a known column; did you mean '{near}'?"
            check.fault(None, header, problem, f"rename it to '{near}', or {keep}")
            told.add(near)
            # One that is needed is read for its cells' own faults, and not called missing as well;
            # another may be a column of the reviewer's own, all of whose cells would be faults.
            needed = near in (*ARMS, *EFFECT) or near.startswith("sem_")
            if needed or COLUMNS[near].required:
                check.names[near] = header


def _like(header: str, absent: Iterable[str]) -> str | None:
    """Return the absent column whose name is most like the header's; none where it is no typo."""
    canonical = _canonical(header)
    fits = [name for name in absent if not (_names_error(header) and name.startswith("sd_"))]
    return nearest(canonical, fits, TYPO)


def _standard_error(header: str, present: Collection[str]) -> str | None:
    """Return the SEM that a header names; None where it names none, or the arm has its spread."""
    letters = re.sub("[^a-z]", "", header.lower())
    for side, pattern in _SEM.items():
        misspelt = letters.startswith("sem") and nearest(_canonical(header), [f"sem_{side}"], TYPO)
        if pattern.fullmatch(letters) or misspelt:
            return None if {f"sd_{side}", f"sem_{side}"} & set(present) else f"sem_{side}"
    return None


def _names_error(header: str) -> bool:
    words = re.findall("[a-z]+", header.lower().replace(".", ""))
    return bool({"se", "sem", "stderr"} & set(words)) or "".join(words).startswith("se")


def _refuse_unclear(check: Checker, header: str) -> bool:
    """Refuse a header that is a known column with a remark, or an SEM of nobody knows what."""
    keep = f"keep it with columns={{'{header}': '{header}'}}"
    plain = _BRACKET.sub("", header)
    name = _canonical(plain)
    if name in COLUMNS and name not in check.names and plain != header:
        also = {
            "duration": f", with the unit of its numbers: units={{'{name}': 'h'}}",
            "dose": ", with its unit in a column dose_unit",
        }.get(COLUMNS[name].kind, "")
        remedy = f"map it with columns={{'{name}': '{header}'}}{also}, or {keep}"
        check.fault(None, header, f"is not read as '{name}'", remedy)
        return True
    if name == "sem" and "se" not in check.names:
        remedy = f"name it sem_treated or sem_control, or se if it is that of y, or {keep}"
        check.fault(None, header, "does not say of which arm", remedy)
        return True
    return False


def _is_kin(header: str, name: str) -> bool:
    """Return whether one is made of whole words of the other: control, dose_norm; no typo."""
    words, known = set(header.split("_")), set(name.split("_"))
    return words <= known or known <= words


def require_columns(check: Checker, outcomes: bool) -> bool:
    """Note the columns without which the table says nothing; return whether all are there."""
    needed = [name for name, column in COLUMNS.items() if column.required]
    meant = _named_elsewhere(check)
    if outcomes:
        needed += _outcome_columns(set(check.names) | check.doubled, meant)
    gaps = [name for name in needed if name not in check.names]
    for name in gaps:
        if name not in check.doubled:
            check.fault(None, name, *_missing(check, name, meant.get(name)))
    return not gaps and not check.doubled


def _missing(check: Checker, name: str, header: str | None) -> tuple[str, str]:
    """Return (problem, remedy) of a needed column; `header` is what others call it."""
    if header is not None:
        return f"is missing; '{header}' may be it", f"map it with columns={{'{name}': '{header}'}}"
    free = [h for h in check.headers if h not in check.names.values()]
    spread = name.startswith("sd_")
    like = nearest(name, [h for h in free if not (spread and _names_error(h))])
    hint = "" if like is None else f"; the nearest is '{like}'"
    instead = f"; {INSTEAD} will do too" if spread else ""
    return f"is missing{hint}", f"add it, or map yours with columns={{'{name}': ...}}{instead}"


def _named_elsewhere(check: Checker) -> dict[str, str]:
    """Return headers by the absent column that other programs call so."""
    free = {_canonical(h): h for h in check.headers if h not in check.names.values()}
    names = {other: name for name, others in ELSEWHERE.items() for other in others}
    return {names[h]: free[h] for h in free if h in names and names[h] not in check.names}


def _outcome_columns(present: set[str], meant: Collection[str] = ()) -> list[str]:
    arms = [name for name in ARMS if name not in supplied(present)]
    if arms and "y" not in present and "y" in meant:
        effect = [name for name in EFFECT if name in meant]
        return [*effect, *_outcome_columns(present | set(effect))]
    if "y" not in present:
        return arms
    spread = present & {"v", "se"} or {"ci_low", "ci_high"} <= present
    return [] if spread or present.issuperset(arms) else ["v"]


def _canonical(header: str) -> str:
    return "_".join(header.lower().split())
