"""Statistics of many images in constant space: folded per shard, merged exactly, in any order."""
