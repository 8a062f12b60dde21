"""Words as text: how they are compared, cut into cues and passages, and what they are about."""
