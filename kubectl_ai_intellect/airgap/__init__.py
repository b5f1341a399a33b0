"""Everything the plugin needs in one directory, for machines without a network: collected, listed, signed, verified.

README.txt        what to type on the machine that it is for
bundle.json       what each file is
SHA256SUMS        every file's digest, as sha256sum writes and checks it
SHA256SUMS.sig    its signature, as `ssh-keygen -Y` makes and checks it
plugin/           the plugin's archives and the krew manifest
models/           language models and the embedder
runbooks/         ours; documents/: the user's own
index/            the ready search index
"""
