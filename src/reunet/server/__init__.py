"""The door for other programs and for the page: predictions by HTTP (extra `serve`).

`app.py` puts together what answers; `service.py` is what it asks: runs that are loaded, threads, jobs, a
scratch folder. `security.py` stands before all of it.
"""
