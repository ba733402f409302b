from __future__ import annotations

import json
from typing import Any

import pytest

from serve.model_facts import describe_model, without_paths, without_places
from tests.specs import package_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/home/me/secret/weights.pth", "weights.pth"),
        ("s3://bucket/key/weights.pth", "weights.pth"),
        ("../up/weights.pth", "weights.pth"),
        ("~/weights.pth", "weights.pth"),
        ("C:\\models\\weights.pth", "weights.pth"),
        ("/folder/", "folder"),
        ("weights.pth", "weights.pth"),
        ("timm:resnet18", "timm:resnet18"),
        ("my.module:build", "my.module:build"),
        ("a/b", "a/b"),
        ({"options": ["/x/y", 3, None]}, {"options": ["y", 3, None]}),
    ],
)
def test_of_a_path_only_the_last_part_is_told(value: Any, expected: Any) -> None:
    assert without_paths(value) == expected


def test_describes_a_model_in_json_without_paths() -> None:
    package = package_of(b"graph", {"weights": "/home/me/tiny.onnx"})
    facts = describe_model(package, name="served", engine="")
    text = json.dumps(facts.spec)
    assert "/home" not in text
    assert facts.spec["weights"] == "tiny.onnx"
    assert facts.spec["output"]["top_k"] == 5, "defaults are told, too"
    assert (facts.name, facts.version, facts.is_ready) == ("served", package.digest[:12], False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("a/b is half of 1/2", "a/b is half of 1/2"),
        ("got member 0, file:///srv/secret/net0, of format onnx", "got member 0, net0, of format onnx"),
        ("needs gradients (member s3://bucket/key/net1/)", "needs gradients (member net1)"),
        ("must be there, got '/home/me/w.pth': nothing; correct it", "must be there, got 'w.pth': nothing; correct it"),
        ("got /srv/models/net.", "got net."),
    ],
)
def test_in_a_sentence_paths_are_their_last_parts(text: str, expected: str) -> None:
    assert without_places(text) == expected
