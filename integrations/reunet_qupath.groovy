// Predicts the selected annotation, or the whole image, with a server that `reunet serve RUN` has started, and adds
// what it finds. QuPath 0.5 or later: Automate > Script editor, open this file, adapt the settings, Run.

import java.awt.geom.AffineTransform
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.nio.file.Files
import groovy.json.JsonSlurper
import qupath.lib.io.PathIO
import qupath.lib.objects.PathObjectTools
import qupath.lib.regions.ImagePlane
import qupath.lib.regions.RegionRequest

// Settings
def address = "http://127.0.0.1:8000"  // of the server
def model = ""                         // name of the run; empty where the server has one
def token = ""                         // of --token-file; empty without
double downsample = 1.0                // pixels of the image per pixel sent, per side: as the run was trained

def server = getCurrentServer()
def selected = getSelectedObject()
def roi = selected?.getROI()
def plane = roi == null ? ImagePlane.getDefaultPlane() : roi.getImagePlane()
def request = roi == null
    ? RegionRequest.createInstance(server, downsample)
    : RegionRequest.createInstance(server.getPath(), downsample, roi)

// All channels of the region, in the bits that they have
def file = Files.createTempFile("reunet", ".tif")
def answer
try {
    writeImageRegion(server, request, file.toString())
    def asked = URI.create(address + "/v1/predict?format=geojson" +
        (model.isEmpty() ? "" : "&model=" + URLEncoder.encode(model, "UTF-8")))
    def builder = HttpRequest.newBuilder(asked)
        .header("Content-Type", "application/octet-stream")
        .POST(HttpRequest.BodyPublishers.ofFile(file))
    if (!token.isEmpty())
        builder.header("Authorization", "Bearer " + token)
    def client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()
    answer = client.send(builder.build(), HttpResponse.BodyHandlers.ofByteArray())
} finally {
    Files.deleteIfExists(file)
}
if (answer.statusCode() != 200) {
    def problem = new JsonSlurper().parse(answer.body())
    throw new RuntimeException(["title", "expected", "received", "fix"]
        .collect { problem[it] }.findAll { it != null }.join("; "))
}

// From pixels of the region to pixels of the image
def place = AffineTransform.getTranslateInstance(request.getX(), request.getY())
place.scale(downsample, downsample)
def found = PathIO.readObjectsFromGeoJSON(new ByteArrayInputStream(answer.body())).collect {
    PathObjectTools.updatePlane(PathObjectTools.transformObject(it, place, true), plane, true, true)
}
if (roi != null)
    found = found.findAll { roi.contains(it.getROI().getCentroidX(), it.getROI().getCentroidY()) }
addObjects(found)
fireHierarchyUpdate()
println found.size() + " object(s)"
