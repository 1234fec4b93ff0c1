"""Images larger than memory: cut into strips, predicted and decoded section by section.

Start reading at `sections.py`; `cutting.py` says where it cuts, `memory.py` what that takes.
"""
