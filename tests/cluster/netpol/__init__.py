"""A small NetworkPolicy enforcer for the test node: its bridge network enforces nothing by itself.

`rules` computes, `nftables` writes, `watch` follows the API server, `__main__` joins the three.
"""
