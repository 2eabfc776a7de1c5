//! Each trouble alone and all together: after quiet, everything is there and right.
