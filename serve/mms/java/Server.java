package slipway;

import com.amazonaws.ml.mms.ModelServer;
import com.amazonaws.ml.mms.ServerInitializer;
import com.amazonaws.ml.mms.servingsdk.impl.PluginsManager;
import com.amazonaws.ml.mms.util.ConfigManager;
import com.amazonaws.ml.mms.util.Connector;
import com.amazonaws.ml.mms.util.ConnectorType;
import com.amazonaws.ml.mms.wlm.BatchAggregator;
import com.amazonaws.ml.mms.wlm.Job;
import com.amazonaws.ml.mms.wlm.Model;
import com.amazonaws.ml.mms.wlm.ModelManager;
import com.amazonaws.ml.mms.wlm.WorkerState;
import com.amazonaws.ml.mms.wlm.WorkerThread;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.util.internal.logging.InternalLoggerFactory;
import io.netty.util.internal.logging.Slf4JLoggerFactory;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.commons.cli.DefaultParser;

/**
 * MMS's main, with an end: what was accepted is answered before the process leaves on SIGTERM; a single model that cannot
 * be loaded, or whose processes are lost, ends it instead of being tried for ever. Arguments are ModelServer's own.
 */
public final class Server extends ModelServer {
    static final boolean MULTI_MODEL = Boolean.getBoolean("slipway.multi_model");
    private static final int FAILED = 1;
    private static final int MODEL_UNUSABLE = 3;
    private static final long STOP_TIMEOUT_MS = 20_000; // SageMaker kills 30 s after SIGTERM
    private static final long QUIET_MS = 200; // so long without work: no answer is still on its way
    private static final long STEP_MS = 20;
    private static final long WATCH_MS = 100;

    private static volatile boolean stopping;

    private Server() {
        super(ConfigManager.getInstance());
    }

    static boolean stopping() {
        return stopping;
    }

    /** Serve until SIGTERM. Exit codes: 143 after SIGTERM, 1 when MMS or its workers fail, 3 when the single model cannot be loaded. */
    public static void main(String[] args) {
        int code = FAILED;
        try {
            ConfigManager.init(new ConfigManager.Arguments(new DefaultParser().parse(ConfigManager.Arguments.getOptions(), args)));
            PluginsManager.getInstance().initialize();
            InternalLoggerFactory.setDefaultFactory(Slf4JLoggerFactory.INSTANCE);
            // its MetricManager is not started: a Python process a minute, for a log that nobody keeps
            List<ChannelFuture> closed = new Server().start();
            Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(closed), "stop"));
            if (!MULTI_MODEL && !firstLoad()) {
                code = MODEL_UNUSABLE;
            } else {
                System.out.println("serve: ready at " + ConfigManager.getInstance().getListener(false) + (MULTI_MODEL ? ", for many models" : ""));
                watch(closed.get(0));
            }
        } catch (Throwable error) { // an OutOfMemoryError too must end the process
            System.err.println("serve: failed: " + error);
            error.printStackTrace();
        }
        System.exit(code);
    }

    /** As MMS's own, with Admission, and without its SO_LINGER of 0, which takes a last answer back from a client that is still sending. */
    @Override
    public ChannelFuture initializeServer(Connector connector, EventLoopGroup serverGroup, EventLoopGroup workerGroup, ConnectorType type)
            throws InterruptedException {
        ServerBootstrap bootstrap = new ServerBootstrap()
                .group(serverGroup, workerGroup)
                .channel(connector.getServerChannel())
                .option(ChannelOption.SO_BACKLOG, 1024)
                .childHandler(new ServerInitializer(null, type) {
                    @Override
                    public void initChannel(Channel channel) {
                        super.initChannel(channel);
                        channel.pipeline().addBefore("aggregator", "admission", new Admission());
                    }
                });
        return bootstrap.bind(connector.getSocketAddress()).sync().channel().closeFuture();
    }

    /** Wait until every worker has loaded the model; false when one could not, and MMS would try again and again. */
    private static boolean firstLoad() throws InterruptedException, ReflectiveOperationException {
        if (ModelManager.getInstance().getModels().isEmpty()) {
            return false;
        }
        while (Ping.trouble() != null) {
            for (Model model : ModelManager.getInstance().getModels().values()) {
                for (WorkerThread worker : ModelManager.getInstance().getWorkers(model.getModelName())) {
                    if (worker.getState() == WorkerState.WORKER_STOPPED || worker.getState() == WorkerState.WORKER_ERROR) {
                        abandon(model);
                        return false;
                    }
                }
            }
            Thread.sleep(STEP_MS);
        }
        return true;
    }

    /**
     * Until the server is closed, end or forget a model without any process: MMS starts a worker again, but never the process
     * that workers are forked from; and of a model that it could not load it keeps the name.
     */
    private static void watch(ChannelFuture closed) throws InterruptedException, ReflectiveOperationException {
        while (!closed.await(WATCH_MS)) {
            for (Model model : ModelManager.getInstance().getModels().values()) {
                if (lost(model)) {
                    System.err.println("serve: failed: model " + model.getModelName() + " has no process left");
                    if (MULTI_MODEL) {
                        ModelManager.getInstance().unregisterModel(model.getModelName()); // new callers get 404, so that it can be loaded again
                    }
                    abandon(model);
                    if (!MULTI_MODEL) {
                        return;
                    }
                }
            }
        }
    }

    private static boolean lost(Model model) {
        WorkerThread parent = model.getServerThread();
        Process process = parent == null ? null : parent.getLifeCycle().getProcess();
        return process != null && !process.isAlive()
                && ModelManager.getInstance().getWorkers(model.getModelName()).stream()
                        .noneMatch(worker -> worker.getState() == WorkerState.WORKER_MODEL_LOADED);
    }

    /** Answer what waits for a model that nobody serves any more: MMS would leave those callers waiting. */
    private static void abandon(Model model) throws ReflectiveOperationException {
        for (Collection<Job> queue : queues(model)) {
            for (Job job : new ArrayList<>(queue)) {
                if (!job.isControlCmd() && queue.remove(job)) {
                    job.sendError(HttpResponseStatus.SERVICE_UNAVAILABLE, "The model's processes have died.");
                }
            }
        }
    }

    /** Take no new connections and return once all accepted requests have been quiet, or the time is up. */
    private static void stop(List<ChannelFuture> closed) {
        stopping = true;
        closed.forEach(future -> future.channel().close());
        try {
            long now = System.currentTimeMillis();
            long deadline = now + STOP_TIMEOUT_MS;
            for (long busy = now; now < deadline && now < busy + QUIET_MS; now = System.currentTimeMillis()) {
                Thread.sleep(STEP_MS);
                if (working()) {
                    busy = now;
                }
            }
        } catch (InterruptedException | ReflectiveOperationException error) {
            System.err.println("serve: stopped without waiting for answers: " + error);
        }
    }

    /** Whether a request waits in a queue or is with a worker. MMS keeps both in private fields. */
    private static boolean working() throws ReflectiveOperationException {
        for (Model model : ModelManager.getInstance().getModels().values()) {
            for (Collection<Job> queue : queues(model)) {
                if (anyRequest(queue)) {
                    return true;
                }
            }
            for (WorkerThread worker : ModelManager.getInstance().getWorkers(model.getModelName())) {
                Object aggregator = value(WorkerThread.class, "aggregator", worker);
                if (anyRequest(Server.<Job>jobs(BatchAggregator.class, "jobs", aggregator).values())) {
                    return true;
                }
            }
        }
        return false;
    }

    /** Beside requests MMS queues its own commands to load models; nobody waits for those. */
    private static boolean anyRequest(Collection<Job> jobs) {
        return new ArrayList<>(jobs).stream().anyMatch(job -> !job.isControlCmd());
    }

    private static List<Collection<Job>> queues(Model model) throws ReflectiveOperationException {
        return new ArrayList<>(Server.<Collection<Job>>jobs(Model.class, "jobsDb", model).values());
    }

    @SuppressWarnings("unchecked")
    private static <V> Map<String, V> jobs(Class<?> type, String name, Object owner) throws ReflectiveOperationException {
        return (Map<String, V>) value(type, name, owner);
    }

    private static Object value(Class<?> type, String name, Object owner) throws ReflectiveOperationException {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field.get(owner);
    }
}
