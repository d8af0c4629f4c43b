package slipway;

import com.amazonaws.ml.mms.wlm.Model;
import com.amazonaws.ml.mms.wlm.ModelManager;
import com.amazonaws.ml.mms.wlm.WorkerState;
import com.amazonaws.ml.mms.wlm.WorkerThread;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import software.amazon.ai.mms.servingsdk.Context;
import software.amazon.ai.mms.servingsdk.ModelServerEndpoint;
import software.amazon.ai.mms.servingsdk.annotations.Endpoint;
import software.amazon.ai.mms.servingsdk.annotations.helpers.EndpointTypes;
import software.amazon.ai.mms.servingsdk.http.Request;
import software.amazon.ai.mms.servingsdk.http.Response;

/**
 * GET /ping in place of MMS's own, which answers 200 whatever its workers do.
 *
 * <p>With one model: 200 while all of its workers hold it, else 503 with one sentence. With many, which come and go by
 * requests: 200, for a dead one is told by its own /invoke. While the server stops: 503.
 */
@Endpoint(urlPattern = "ping", endpointType = EndpointTypes.INFERENCE, description = "Whether the models answer")
public class Ping extends ModelServerEndpoint {

    @Override
    public void doGet(Request request, Response response, Context context) throws IOException {
        String trouble = Server.stopping() ? "the server is stopping" : Server.MULTI_MODEL ? null : trouble();
        if (trouble != null) {
            response.setStatus(503);
            response.setContentType("application/json");
            response.getOutputStream().write(("{\"error\":\"" + trouble + "\"}\n").getBytes(StandardCharsets.UTF_8));
        }
    }

    /** Why not all wanted workers hold their model; null when they do. */
    static String trouble() {
        Map<String, Model> models = ModelManager.getInstance().getModels();
        if (models.isEmpty()) {
            return "no model is registered";
        }
        for (Model model : models.values()) {
            // not WorkerThread.isRunning, nor the SDK's Worker.isRunning made of it: that is true before a worker starts
            List<WorkerThread> workers = ModelManager.getInstance().getWorkers(model.getModelName());
            long ready = workers.stream().filter(worker -> worker.getState() == WorkerState.WORKER_MODEL_LOADED).count();
            int wanted = Math.max(1, model.getMinWorkers());
            if (ready < wanted) {
                return ready + " of " + wanted + " workers are ready";
            }
        }
        return null;
    }
}
