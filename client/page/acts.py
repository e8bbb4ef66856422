# SPDX-License-Identifier: Apache-2.0
"""What the forms of the page do: each act changes the device and says where to go next."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from client.owner import Owner
from client.page.shown import item_path
from shared.errors import DataError

Form = Mapping[str, str]


@dataclass(frozen=True)
class Done:
    """What an act did."""

    path: str
    """Where its result shows."""
    key: str = ""
    """Notice, a key of the texts."""
    values: dict[str, str] = field(default_factory=dict)


Act = Callable[[Owner, Form], Done]


def save(device: Owner, form: Form) -> Done:
    """Rate an item, with or without a comment."""
    row = _row(device, form)
    try:
        stars = float(form.get("stars", "").replace(",", "."))
    except ValueError:
        raise DataError(
            "stars must be a number, got something else.", hint="choose one of the stars."
        ) from None
    entry = device.rate(row, stars, form.get("comment", "").replace("\r\n", "\n"))
    return Done(item_path(entry.item), "notice.rated", {"title": entry.title})


def forget(device: Owner, form: Form) -> Done:
    """Delete a rating and its comment."""
    entry = device.forget(_row(device, form))
    return Done("/data", "notice.forgotten", {"title": entry.title})


def publish(device: Owner, form: Form) -> Done:
    """Publish a comment, after the owner saw what that means."""
    entry = device.publish(_row(device, form))
    return Done(item_path(entry.item), "notice.published", {"title": entry.title})


def withdraw(device: Owner, form: Form) -> Done:
    """Take a published comment back."""
    entry = device.withdraw(_row(device, form))
    return Done(item_path(entry.item), "notice.withdrawn", {"title": entry.title})


def less(device: Owner, form: Form) -> Done:
    """See less like an item."""
    row = _row(device, form)
    device.hide(row)
    return Done("/", "notice.less", {"title": device.catalogue.titles[row]})


def again(device: Owner, form: Form) -> Done:
    """Take "less like this" back."""
    row = _row(device, form)
    device.hide(row, undo=True)
    return Done("/data", "notice.again", {"title": device.catalogue.titles[row]})


def pause(device: Owner, form: Form) -> Done:
    """Send nothing more until further notice."""
    device.pause()
    return Done("/device", "notice.paused")


def resume(device: Owner, form: Form) -> Done:
    """Answer questions again."""
    device.resume()
    return Done("/device", "notice.resumed")


def leave(device: Owner, form: Form) -> Done:
    """Take part no longer."""
    device.leave()
    return Done("/device", "notice.left")


ACTS: dict[str, Act] = {
    "/save": save,
    "/forget": forget,
    "/publish": publish,
    "/withdraw": withdraw,
    "/less": less,
    "/again": again,
    "/pause": pause,
    "/resume": resume,
    "/leave": leave,
}
"""Address of each form and what it does; erasing and closing end the page and stand in `app`."""


def way_back(form: Form) -> str:
    """Return where to show why an act failed."""
    return item_path(form["item"]) if form.get("item") else "/device"


def _row(device: Owner, form: Form) -> int:
    """Return the row of the item that a form names."""
    try:
        return device.catalogue.item_ids.index(form.get("item", ""))
    except ValueError:
        raise DataError(
            "an item must be one of the catalogue, got another.", hint="load the page again."
        ) from None
