"""Ask an S3 endpoint once whether a bucket is there, without the patience that work deserves."""

from __future__ import annotations

from botocore.exceptions import ClientError, SSLError
from s3fs import S3FileSystem

from inference_core.errors import StorageError
from inference_core.storage.s3_client import start
from inference_core.storage.s3_errors import NO_ANSWER_ERRORS, http_status, translated
from inference_core.storage.uris import mask_secrets, split_bucket_key

CONNECT_TIMEOUT_S = 3


def check_reachable(uri_prefix: str, *, timeout_s: float) -> None:
    """List one key below a prefix, in one attempt.

    A store that answers that it is busy is there; so is one that has no such key.
    """
    bucket, key = split_bucket_key(uri_prefix)
    with translated(uri_prefix):
        try:
            start(_list_one(bucket, key, timeout_s=timeout_s)).result()
        except ClientError as error:
            if http_status(error) != 429 and http_status(error) < 500:
                raise
        except SSLError:
            raise
        except NO_ANSWER_ERRORS as error:
            shown = mask_secrets(uri_prefix)
            raise StorageError(
                f"cannot access {shown!r}: the endpoint did not answer; check AWS_ENDPOINT_URL, the network and the "
                "proxy",
                uri=shown,
            ) from error


async def _list_one(bucket: str, key: str, *, timeout_s: float) -> None:
    # A client of its own: the one for work repeats for a quarter of a minute what will not get better.
    probing = S3FileSystem(
        config_kwargs={
            "retries": {"mode": "standard", "total_max_attempts": 1},
            "connect_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": timeout_s,
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    client = await probing.set_session()
    await client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
