"""Finds, without a network, what our client has put into the cache: argv are a repository and a folder to compare with."""

import sys
from pathlib import Path

from huggingface_hub import get_cached_repo_tree, hf_hub_download, scan_cache_dir, snapshot_download
from huggingface_hub.errors import IncompleteSnapshotError

repo, source = sys.argv[1], Path(sys.argv[2])
names = sorted(p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file())

found = Path(snapshot_download(repo))
for name in names:
    assert (found / name).read_bytes() == (source / name).read_bytes(), name
    assert Path(hf_hub_download(repo, name, local_files_only=True)) == found / name, name
tree = {entry.path: entry for entry in get_cached_repo_tree(repo, revision=found.name)}
assert set(names) <= set(tree), (names, tree)
assert tree["model.bin"].size == (source / "model.bin").stat().st_size and tree["model.bin"].xet_hash, tree

# Of this one only some was fetched.
part = repo + "-part"
assert Path(snapshot_download(part, allow_patterns="*.md")).joinpath("README.md").exists()
try:
    snapshot_download(part)
    raise AssertionError("a part was taken for all of it")
except IncompleteSnapshotError as error:
    assert "model.bin" in str(error), error

cached = {info.repo_id: info for info in scan_cache_dir().repos}
assert cached[repo].nb_files == len(tree) and cached[part].nb_files == 1, cached
# Other tests have left other repositories there.
warnings = [text for text in map(str, scan_cache_dir().warnings) if repo.replace("/", "--") in text]
assert not warnings, warnings
print("done")
