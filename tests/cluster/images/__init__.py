"""Images for the test cluster, with real programs in them, made from Debian's packages.

`ensure_images` gives one OCI archive per name (`ctr -n k8s.io images import ARCHIVE` takes it); the image in
it is called `docker.io/intellect/NAME:1`. It takes no container engine and no root. Archives are built once
and kept; a warm start touches neither apt nor network.
"""

from tests.cluster.images.build import ImagesUnavailable, ensure_images, why_unavailable
from tests.cluster.images.recipes import RECIPES, reference

__all__ = ["RECIPES", "ImagesUnavailable", "ensure_images", "reference", "why_unavailable"]
