#@ ImagePlus imp
#@ String (label="Server", value="http://127.0.0.1:8000") address
#@ String (label="Run (empty: the only one)", value="", required=false) model
#@ String (label="Token (empty: none)", value="", required=false, style="password") token
"""Predicts the current slice, or its selected rectangle, with a server that `reunet serve RUN` has started, and puts
what it finds into the ROI Manager. Fiji: File > Open..., language Python (Jython), Run.
"""

import json


def request_of(address, model, token):
    """The address that is asked, and the headers."""
    try:
        from urllib import quote  # Jython
    except ImportError:
        from urllib.parse import quote
    asked = address.rstrip("/") + "/v1/predict?format=geojson"
    if model:
        asked += "&model=" + quote(model.encode("utf-8"), safe="")
    headers = {"Content-Type": "application/octet-stream"}
    if token:
        headers["Authorization"] = "Bearer " + token
    return asked, headers


def outlines_of(answer):
    """A list of objects (name, class, colour, score or None, parts); a part is a list of rings, the outer one
    first, of points [x, y] in pixels of what was sent."""
    found = []
    for feature in json.loads(answer)["features"]:
        geometry, told = feature["geometry"], feature["properties"]
        parts = geometry["coordinates"]
        if geometry["type"] == "Polygon":
            parts = [parts]
        kind = told["classification"]
        score = told.get("measurements", {}).get("score")
        found.append((told["name"], kind["name"], kind["color"], score, parts))
    return found


def problem_of(answer):
    """What the server says is wrong, as a sentence."""
    told = json.loads(answer)
    return "; ".join(told[key] for key in ("title", "expected", "received", "fix") if told.get(key))


def main():
    import os
    from array import array

    import urllib2
    from ij.gui import PolygonRoi, Roi, ShapeRoi
    from ij.io import FileSaver
    from ij.plugin import Duplicator
    from ij.plugin.frame import RoiManager
    from java.awt import Color
    from java.io import File

    selected = imp.getRoi()
    corner = (0, 0) if selected is None else (selected.getBounds().x, selected.getBounds().y)
    depth, time = imp.getSlice(), imp.getFrame()
    piece = Duplicator().run(imp, 1, imp.getNChannels(), depth, depth, time, time)
    path = File.createTempFile("reunet", ".tif").getPath()
    try:
        FileSaver(piece).saveAsTiff(path)
        with open(path, "rb") as file:
            content = file.read()
    finally:
        os.remove(path)
    asked, headers = request_of(address, model, token)
    try:
        answer = urllib2.urlopen(urllib2.Request(asked, content, headers)).read()
    except urllib2.HTTPError as error:
        raise RuntimeError(problem_of(error.read()))

    def ring_roi(ring):
        xs, ys = [point[0] for point in ring[:-1]], [point[1] for point in ring[:-1]]
        return ShapeRoi(PolygonRoi(array(xs, "f"), array(ys, "f"), Roi.POLYGON))

    manager = RoiManager.getRoiManager()
    for name, kind, colour, score, parts in outlines_of(answer):
        whole = None
        for rings in parts:
            part = ring_roi(rings[0])
            for hole in rings[1:]:
                part = getattr(part, "not")(ring_roi(hole))
            whole = part if whole is None else getattr(whole, "or")(part)
        whole.setLocation(whole.getBounds().x + corner[0], whole.getBounds().y + corner[1])
        whole.setName(kind + " " + name + ("" if score is None else " %.2f" % score))
        whole.setStrokeColor(Color(*colour))
        manager.addRoi(whole)
    manager.runCommand(imp, "Show All")


if __name__ in ("__main__", "__builtin__"):
    main()
