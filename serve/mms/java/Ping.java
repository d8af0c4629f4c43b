package slipway;

import com.amazonaws.ml.mms.wlm.Model;
import com.amazonaws.ml.mms.wlm.ModelManager;
import com.amazonaws.ml.mms.wlm.WorkerState;
import com.amazonaws.ml.mms.wlm.WorkerThread;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import software.amazon.ai.mms.servingsdk.Context;
import software.amazon.ai.mms.servingsdk.ModelServerEndpoint;
import software.amazon.ai.mms.servingsdk.annotations.Endpoint;
import software.amazon.ai.mms.servingsdk.annotations.helpers.EndpointTypes;
import software.amazon.ai.mms.servingsdk.http.Request;
import software.amazon.ai.mms.servingsdk.http.Response;

/**
 * GET /ping. It replaces MMS's own, which answers 200 whatever state its workers are in.
 *
 * <p>With one model: 200 while all of its workers hold it, else 503 with one sentence. With many
 * models, which come and go by requests: 200, because a dead model's own /invoke reports it.
 */
@Endpoint(
        urlPattern = "ping",
        endpointType = EndpointTypes.INFERENCE,
        description = "Whether the models answer")
public class Ping extends ModelServerEndpoint {

    @Override
    public void doGet(Request request, Response response, Context context) throws IOException {
        String fault = Server.MULTI_MODEL ? null : fault();
        if (fault != null) {
            byte[] body = ("{\"error\":\"" + fault + "\"}\n").getBytes(StandardCharsets.UTF_8);
            response.setStatus(503);
            response.setContentType("application/json");
            response.getOutputStream().write(body);
        }
    }

    /** Why a model's workers do not all hold it; null when they do. */
    static String fault() {
        Map<String, Model> models = ModelManager.getInstance().getModels();
        if (models.isEmpty()) {
            return "no model is registered";
        }
        for (Model model : models.values()) {
            long ready = loadedWorkers(model);
            int wanted = Math.max(1, model.getMinWorkers());
            if (ready < wanted) {
                return ready + " of " + wanted + " workers are ready";
            }
        }
        return null;
    }

    /**
     * The number of workers that hold a model.
     *
     * <p>By their state: WorkerThread.isRunning, and the SDK's Worker.isRunning made of it, are
     * true before a worker starts.
     */
    static long loadedWorkers(Model model) {
        long count = 0;
        for (WorkerThread worker : ModelManager.getInstance().getWorkers(model.getModelName())) {
            if (worker.getState() == WorkerState.WORKER_MODEL_LOADED) {
                count++;
            }
        }
        return count;
    }
}
