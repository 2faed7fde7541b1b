/**
 * The script that drives the native client in a measurement. It is a constant, so that the installed
 * package has it; it takes the request of `work-request.ts` on standard input, and accounts for its
 * time and memory in the same way as `own-usage.ts`.
 */
export const NATIVE_DRIVER: string = `import json
import re
import resource
import sys
import time

import hf_xet


def own_usage():
    used = resource.getrusage(resource.RUSAGE_SELF)
    try:
        with open("/proc/self/status") as status:
            peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read()).group(1)) * 1024
    except (OSError, AttributeError):
        peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"cpuMs": (used.ru_utime + used.ru_stime) * 1000, "peakBytes": peak}


work = json.load(sys.stdin)
hashes = []
if work["op"] == "chunk":
    hashes = [info.hash for info in hf_xet.hash_files(work["paths"])]
else:
    target = {
        "endpoint": work["server"]["endpoint"],
        "token": work["server"]["token"],
        "token_expiry_unix_secs": int(time.time()) + 24 * 3600,
    }
    session = hf_xet.XetSession()
    if work["op"] == "upload":
        commit = session.new_upload_commit(**target)
        handles = [
            commit.start_upload_file(path, sha256=hf_xet.COMPUTE_SHA256) for path in work["paths"]
        ]
        commit.wait_to_finish()
        hashes = [handle.result().xet_info.hash for handle in handles]
    elif work["range"] is None:
        group = session.new_file_download_group(**target)
        group.start_download_file(hf_xet.XetFileInfo(work["hash"], work["sizeBytes"]), work["path"])
        group.wait_to_finish()
        hashes = [work["hash"]]
    else:
        group = session.new_download_stream_group(**target)
        info = hf_xet.XetFileInfo(work["hash"], work["sizeBytes"])
        with open(work["path"], "wb") as out:
            for piece in group.download_stream(
                info, start=work["range"]["start"], end=work["range"]["end"]
            ):
                out.write(piece)
        hashes = [work["hash"]]
print(json.dumps({"hashes": hashes, **own_usage()}))
`;
