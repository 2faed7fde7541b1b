"""Drives the stock huggingface_hub: argv are a folder to upload and a folder to work in."""

import filecmp
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    HfApi,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    BucketNotFoundError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

source, work = Path(sys.argv[1]), Path(sys.argv[2])
repo = "org/Python-Model"
api = HfApi()


def same(a: Path, b: Path) -> None:
    names = sorted(p.relative_to(a).as_posix() for p in a.rglob("*") if p.is_file())
    found = sorted(
        p.relative_to(b).as_posix()
        for p in b.rglob("*")
        if p.is_file() and ".cache" not in p.parts and p.name != ".gitattributes"
    )
    assert names == found, (names, found)
    for name in names:
        assert filecmp.cmp(a / name, b / name, shallow=False), name


def fails(error, call, status=None):
    try:
        call()
    except error as caught:
        assert status is None or caught.response.status_code == status, caught
        return
    raise AssertionError(f"expected {error.__name__}")


assert api.whoami()["type"] == "user"
api.create_repo(repo)
api.create_repo(repo, exist_ok=True)
fails(HfHubHTTPError, lambda: api.create_repo(repo), 409)

api.upload_folder(repo_id=repo, folder_path=source)
same(source, Path(snapshot_download(repo, local_dir=work / "one")))
same(source, Path(snapshot_download(repo)))

# An edit: what is sent of it is counted on its way by the test.
counted = HfApi(endpoint=os.environ["COUNTED_ENDPOINT"])
model = source / "model.bin"
data = model.read_bytes()
model.write_bytes(data[: len(data) // 2] + b"inserted" + data[len(data) // 2 :])
counted.upload_folder(repo_id=repo, folder_path=source)
same(source, Path(snapshot_download(repo, local_dir=work / "two")))
head = api.model_info(repo).sha
api.upload_folder(repo_id=repo, folder_path=source)
assert api.model_info(repo).sha == head, "nothing has changed, so there is no commit"

# Sent whole, as Git LFS sends it.
with open(model, "rb") as file:
    api.upload_file(repo_id=repo, path_or_fileobj=file, path_in_repo="whole.bin")
assert filecmp.cmp(hf_hub_download(repo, "whole.bin"), model, shallow=False)

api.create_branch(repo, branch="dev/x")
api.create_tag(repo, tag="v1")
api.upload_file(repo_id=repo, path_or_fileobj=b"dev", path_in_repo="dev.txt", revision="dev/x")
assert Path(hf_hub_download(repo, "dev.txt", revision="dev/x")).read_bytes() == b"dev"
assert [ref.name for ref in api.list_repo_refs(repo).branches] == ["dev/x", "main"]
fails(EntryNotFoundError, lambda: hf_hub_download(repo, "dev.txt"))
fails(RevisionNotFoundError, lambda: hf_hub_download(repo, "dev.txt", revision="none"))
fails(RepositoryNotFoundError, lambda: api.model_info("org/none"))

copies = [CommitOperationCopy("model.bin", "copies/a.bin"), CommitOperationCopy("README.md", "copies/R.md")]
api.create_commit(repo, operations=copies, commit_message="copies")
assert filecmp.cmp(hf_hub_download(repo, "copies/a.bin"), model, shallow=False)
api.delete_folder("copies", repo_id=repo)
assert api.get_paths_info(repo, ["copies", "README.md"], expand=True)[0].path == "README.md"
old = api.list_repo_commits(repo)[-1].commit_id
one = [CommitOperationAdd("late.txt", b"late")]
fails(
    HfHubHTTPError,
    lambda: api.create_commit(repo, operations=one, commit_message="late", parent_commit=old),
    412,
)


def commit(number: int) -> None:
    added = [CommitOperationAdd(f"many/{number}.txt", f"file {number}".encode())]
    api.create_commit(repo, operations=added, commit_message=f"commit {number}")


with ThreadPoolExecutor(20) as pool:
    list(pool.map(commit, range(20)))
many = {path for path in api.list_repo_files(repo) if path.startswith("many/")}
assert many == {f"many/{number}.txt" for number in range(20)}, many

# Pull requests: by a commit, and opened first.
proposed = api.create_commit(repo, operations=one, commit_message="propose", create_pr=True)
assert proposed.pr_revision == "refs/pr/1", proposed
assert Path(hf_hub_download(repo, "late.txt", revision="refs/pr/1")).read_bytes() == b"late"
fails(EntryNotFoundError, lambda: hf_hub_download(repo, "late.txt"))
api.upload_folder(repo_id=repo, folder_path=source / "sub", path_in_repo="pr", revision="refs/pr/1")
assert [ref.ref for ref in api.list_repo_refs(repo, include_pull_requests=True).pull_requests] == ["refs/pr/1"]
details = api.get_discussion_details(repo, 1)
assert (details.status, details.conflicting_files, details.target_branch) == ("open", False, "main")
api.comment_discussion(repo, 1, "good")
api.merge_pull_request(repo, 1, comment="in it goes")
assert Path(hf_hub_download(repo, "late.txt")).read_bytes() == b"late"
assert "pr/config.json" in api.list_repo_files(repo)
draft = api.create_pull_request(repo, title="a draft")
assert (draft.num, draft.status, draft.is_pull_request) == (2, "draft", True)
api.rename_discussion(repo, 2, "no draft")
api.change_discussion_status(repo, 2, "closed", comment="never mind")
assert [(d.num, d.status, d.title) for d in api.get_repo_discussions(repo)] == [
    (2, "closed", "no draft"),
    (1, "merged", "propose"),
]
assert [d.num for d in api.get_repo_discussions(repo, discussion_type="pull_request", discussion_status="open")] == []

assert [each.id for each in api.list_models(author="org")] == [repo]
api.super_squash_history(repo)
assert len(api.list_repo_commits(repo)) == 1

api.create_repo("org/data", repo_type="dataset")
api.upload_file(repo_id="org/data", repo_type="dataset", path_or_fileobj=b"\0" * 300_000, path_in_repo="z.bin")
assert Path(hf_hub_download("org/data", "z.bin", repo_type="dataset")).read_bytes() == b"\0" * 300_000

# Copies between repositories, and what all of them hold.
across = [
    CommitOperationCopy("model.bin", "copied.bin", src_repo_id=repo, src_repo_type="model"),
    CommitOperationCopy("README.md", "copied.md", src_repo_id=repo, src_repo_type="model"),
]
api.create_commit("org/data", repo_type="dataset", operations=across, commit_message="across")
assert filecmp.cmp(hf_hub_download("org/data", "copied.bin", repo_type="dataset"), model, shallow=False)
assert Path(hf_hub_download("org/data", "copied.md", repo_type="dataset")).read_bytes() == b"# model\n"
held = {each.id: each for each in api.list_user_repos()}
assert held[repo].type == "model" and held[repo].storage > model.stat().st_size, held
assert [each.id for each in api.list_user_repos("org")] == ["org/data", repo], held

# Buckets: files without history.
bucket = "org/bucket"
api.create_bucket(bucket, private=True)
api.create_bucket(bucket, exist_ok=True)
assert api.bucket_info(bucket).private
api.batch_bucket_files(bucket, add=[(model, "a/model.bin"), (b"text", "a/text.txt"), (b"", "empty")])
assert sorted(f.path for f in api.list_bucket_tree(bucket, recursive=True)) == ["a/model.bin", "a/text.txt", "empty"]
assert [(f.type, f.path) for f in api.list_bucket_tree(bucket)] == [("directory", "a"), ("file", "empty")]
assert api.bucket_info(bucket).total_files == 3
api.download_bucket_files(bucket, files=[("a/model.bin", work / "b.bin"), ("empty", work / "empty")])
assert filecmp.cmp(work / "b.bin", model, shallow=False) and not (work / "empty").read_bytes()
api.copy_files(f"hf://buckets/{bucket}/a", f"hf://buckets/{bucket}/copied/")
api.copy_files(f"hf://{repo}/model.bin", f"hf://buckets/{bucket}/of-repo/")
api.batch_bucket_files(bucket, delete=["a/text.txt"])
names = sorted(f.path for f in api.list_bucket_tree(bucket, recursive=True))
assert names == ["a/model.bin", "copied/model.bin", "copied/text.txt", "empty", "of-repo/model.bin"], names
api.sync_bucket(str(source), f"hf://buckets/{bucket}/sync", quiet=True)
plan = api.sync_bucket(str(source), f"hf://buckets/{bucket}/sync", quiet=True)
assert plan.summary()["uploads"] == 0, plan.summary()
api.sync_bucket(f"hf://buckets/{bucket}/sync", str(work / "synced"), quiet=True)
same(source, work / "synced")
assert [b.id for b in api.list_buckets("org")] == [bucket]
api.delete_bucket(bucket)
api.delete_bucket(bucket, missing_ok=True)
fails(BucketNotFoundError, lambda: api.bucket_info(bucket))

hf = str(Path(sys.executable).with_name("hf"))
if os.path.exists(hf):
    subprocess.run([hf, "upload", "org/cli", str(source), "."], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([hf, "download", "org/cli", "--local-dir", str(work / "cli")], check=True, stdout=subprocess.DEVNULL)
    same(source, work / "cli")
    listed = subprocess.run([hf, "repos", "list", "--format", "json"], check=True, capture_output=True, text=True)
    assert "org/cli" in listed.stdout, listed
    place = "hf://buckets/org/cli-bucket"
    for args in (
        ["buckets", "create", "org/cli-bucket"],
        ["buckets", "sync", str(source), f"{place}/x", "--quiet"],
        ["buckets", "cp", f"{place}/x/model.bin", str(work / "from-bucket.bin")],
        ["buckets", "rm", "org/cli-bucket/x/model.bin", "--yes"],
        ["buckets", "list", "org/cli-bucket", "-R"],
    ):
        done = subprocess.run([hf, *args], check=False, capture_output=True, text=True)
        assert done.returncode == 0, (args, done.stdout, done.stderr)
    assert "x/sub/config.json" in done.stdout and "x/model.bin" not in done.stdout, done.stdout
    assert filecmp.cmp(work / "from-bucket.bin", model, shallow=False)

api.delete_repo(repo)
fails(RepositoryNotFoundError, lambda: api.model_info(repo))
print("done")
