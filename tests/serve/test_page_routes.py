from __future__ import annotations

import asyncio
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from serve.page_routes import INDEX, page_routes, read_page

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "serve" / "page"
LINKED = re.compile(rb'(?:src|href)="([^"#]+)"')
IMPORTED = re.compile(rb'from "\./([^"]+)"')


def ask(path: str, **headers: str) -> httpx.Response:
    async def work() -> httpx.Response:
        transport = httpx.ASGITransport(app=Starlette(routes=list(page_routes())))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(work())


def test_every_file_of_the_folder_belongs_to_the_page() -> None:
    assert set(read_page()) == {path.name for path in PAGE.iterdir()}


def test_a_wheel_holds_every_file_of_the_page() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["serve"]
    missing = [path.name for path in PAGE.iterdir() if not any(fnmatch(f"page/{path.name}", name) for name in patterns)]
    assert not missing


def test_all_that_the_page_names_is_there() -> None:
    page = read_page()
    linked = {name.decode() for name in LINKED.findall(page[INDEX].body)}
    assert linked
    assert linked <= {f"page/{name}" for name in page}
    imported = {name.decode() for file in page.values() for name in IMPORTED.findall(file.body)}
    assert imported <= set(page)
    scripts = {name for name in page if name.endswith(".js")}
    assert scripts == imported | {"page.js"}, "a script that nobody imports is dead"


def test_nothing_comes_from_elsewhere_and_nothing_is_inline() -> None:
    page = read_page()
    for name, file in page.items():
        without_names = file.body.replace(b"http://www.w3.org/2000/svg", b"")
        assert not re.search(rb"https?://", without_names), name
    index = page[INDEX].body
    assert not re.search(rb"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", index)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/theme.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
def test_files_come_with_their_type_and_with_headers_that_protect(path: str, media_type: str) -> None:
    answer = ask(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' blob: data:")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("sent", ["{}", "W/{}", '"other", {}'], ids=["same", "weak", "one of several"])
def test_a_file_that_the_browser_has_is_not_sent_again(sent: str) -> None:
    etag = ask("/").headers["etag"]
    again = ask("/", **{"if-none-match": sent.format(etag)})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert ask("/", **{"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["/page/", "/page/../config.py", "/page/%2e%2e/config.py", "/page/index.html/", "/x"])
def test_no_other_path_gives_a_file(path: str) -> None:
    assert ask(path).status_code in (307, 404)
    assert b"class " not in ask(path).content
