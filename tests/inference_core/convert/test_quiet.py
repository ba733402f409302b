from __future__ import annotations

import logging
import sys
import warnings

import pytest

from inference_core.convert.quiet import quiet


def test_nothing_is_said_within_and_everything_behind(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with quiet():
        sys.stdout.write("printed")
        sys.stderr.write("printed")
        warnings.warn("warned", UserWarning, stacklevel=1)  # an error outside
        logging.getLogger("exporter").error("logged")
    assert capsys.readouterr() == ("", "")
    assert caplog.messages == []
    logging.getLogger("exporter").error("logged")
    assert caplog.messages == ["logged"]
    with pytest.warns(UserWarning, match="warned"):
        warnings.warn("warned", UserWarning, stacklevel=1)


def test_an_error_within_opens_the_ears_again(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="wrong"), quiet():
        raise ValueError("wrong")
    logging.getLogger("exporter").error("logged")
    assert caplog.messages == ["logged"]
