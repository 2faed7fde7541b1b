"""Drives the native client: reads one JSON request on standard input, prints one JSON answer.

Request: {"endpoint", "token", "upload": [path...]} or
         {"endpoint", "token", "download": [{"hash", "sizeBytes", "path"}...]}.
Caches are whatever HF_HOME and HF_XET_CACHE name: the caller gives fresh folders.
"""

import json
import sys
import time

import hf_xet

request = json.load(sys.stdin)
target = {
    "endpoint": request["endpoint"],
    "token": request["token"],
    "token_expiry_unix_secs": int(time.time()) + 3600,
}
session = hf_xet.XetSession()
answer = {"files": []}
if "upload" in request:
    commit = session.new_upload_commit(**target)
    handles = [
        commit.start_upload_file(path, sha256=hf_xet.COMPUTE_SHA256) for path in request["upload"]
    ]
    commit.wait_to_finish()
    for handle in handles:
        info = handle.result().xet_info
        answer["files"].append(
            {"hash": info.hash, "sizeBytes": info.file_size, "sha256": info.sha256}
        )
if "download" in request:
    group = session.new_file_download_group(**target)
    for file in request["download"]:
        group.start_download_file(hf_xet.XetFileInfo(file["hash"], file["sizeBytes"]), file["path"])
    group.wait_to_finish()
    answer["files"] = [{"hash": file["hash"]} for file in request["download"]]
json.dump(answer, sys.stdout)
