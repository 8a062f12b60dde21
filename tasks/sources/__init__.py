"""Where videos come from: buckets, their listings, and what people say of a video."""
