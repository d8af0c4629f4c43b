package slipway;

import com.amazonaws.ml.mms.ModelServer;
import com.amazonaws.ml.mms.ServerInitializer;
import com.amazonaws.ml.mms.servingsdk.impl.PluginsManager;
import com.amazonaws.ml.mms.util.ConfigManager;
import com.amazonaws.ml.mms.util.Connector;
import com.amazonaws.ml.mms.util.ConnectorType;
import com.amazonaws.ml.mms.wlm.Job;
import com.amazonaws.ml.mms.wlm.Model;
import com.amazonaws.ml.mms.wlm.ModelManager;
import com.amazonaws.ml.mms.wlm.WorkerState;
import com.amazonaws.ml.mms.wlm.WorkerThread;
import io.netty.bootstrap.ServerBootstrap;
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
import org.apache.commons.cli.CommandLine;
import org.apache.commons.cli.DefaultParser;
import org.apache.commons.cli.ParseException;

/**
 * MMS's main, with an end. Its arguments are ModelServer's own.
 *
 * <p>A single model that cannot be loaded, or whose processes are lost, ends the process; MMS would
 * try for ever. The gateway in front answers what it accepted before it ends this process.
 */
public final class Server extends ModelServer {
    static final boolean MULTI_MODEL = Boolean.getBoolean("slipway.multi_model");
    private static final int FAILED = 1;
    private static final int MODEL_UNUSABLE = 3;
    private static final long STEP_MS = 20;
    private static final long WATCH_MS = 100;

    private Server() {
        super(ConfigManager.getInstance());
    }

    /**
     * Serve until SIGTERM.
     *
     * <p>Exit codes: 143 after SIGTERM, 1 when MMS or its workers fail, 3 when the single model
     * cannot be loaded.
     */
    public static void main(String[] args) {
        int code = FAILED;
        try {
            ConfigManager.init(arguments(args));
            PluginsManager.getInstance().initialize();
            InternalLoggerFactory.setDefaultFactory(Slf4JLoggerFactory.INSTANCE);
            // MMS's MetricManager is not started: it runs a Python process every minute, for a log
            // that nobody keeps
            List<ChannelFuture> closed = new Server().start();
            if (!MULTI_MODEL && !firstLoad()) {
                code = MODEL_UNUSABLE;
            } else {
                watch(closed.get(0));
            }
        } catch (Throwable error) { // an OutOfMemoryError must end the process, too
            System.err.println("serve: failed: " + error);
            error.printStackTrace();
        }
        System.exit(code);
    }

    private static ConfigManager.Arguments arguments(String[] args) throws ParseException {
        CommandLine line = new DefaultParser().parse(ConfigManager.Arguments.getOptions(), args);
        return new ConfigManager.Arguments(line);
    }

    /** As MMS's own method, but without the options of TCP: its sockets are Unix's. */
    @Override
    public ChannelFuture initializeServer(
            Connector connector,
            EventLoopGroup serverGroup,
            EventLoopGroup workerGroup,
            ConnectorType type)
            throws InterruptedException {
        ServerInitializer initializer = new ServerInitializer(null, type);
        ServerBootstrap bootstrap =
                new ServerBootstrap()
                        .group(serverGroup, workerGroup)
                        .channel(connector.getServerChannel())
                        .option(ChannelOption.SO_BACKLOG, 1024)
                        .childHandler(initializer);
        return bootstrap.bind(connector.getSocketAddress()).sync().channel().closeFuture();
    }

    /**
     * Wait until every worker has loaded the single model.
     *
     * @return false when a worker could not; MMS would try again and again
     */
    private static boolean firstLoad() throws InterruptedException, ReflectiveOperationException {
        ModelManager manager = ModelManager.getInstance();
        if (manager.getModels().isEmpty()) {
            return false;
        }
        while (Ping.fault() != null) {
            for (Model model : manager.getModels().values()) {
                if (hasFailedWorker(model)) {
                    answerQueued(model);
                    return false;
                }
            }
            Thread.sleep(STEP_MS);
        }
        return true;
    }

    private static boolean hasFailedWorker(Model model) {
        for (WorkerThread worker : ModelManager.getInstance().getWorkers(model.getModelName())) {
            WorkerState state = worker.getState();
            if (state == WorkerState.WORKER_STOPPED || state == WorkerState.WORKER_ERROR) {
                return true;
            }
        }
        return false;
    }

    /**
     * Until the server is closed, look for a model without any process: end the server of a single
     * model, and forget one of many.
     *
     * <p>MMS starts a worker again, but never the process from which workers are forked; and it
     * keeps the name of a model that it could not load.
     */
    private static void watch(ChannelFuture closed)
            throws InterruptedException, ReflectiveOperationException {
        ModelManager manager = ModelManager.getInstance();
        while (!closed.await(WATCH_MS)) {
            for (Model model : manager.getModels().values()) {
                if (!isLost(model)) {
                    continue;
                }
                String name = model.getModelName();
                System.err.println("serve: failed: model " + name + " has no process left");
                if (MULTI_MODEL) {
                    manager.unregisterModel(name); // later callers get 404, and can load it again
                }
                answerQueued(model);
                if (!MULTI_MODEL) {
                    return;
                }
            }
        }
    }

    private static boolean isLost(Model model) {
        WorkerThread parent = model.getServerThread();
        Process process = parent == null ? null : parent.getLifeCycle().getProcess();
        if (process == null || process.isAlive()) {
            return false;
        }
        return Ping.loadedWorkers(model) == 0;
    }

    /** Answer the requests in a lost model's queue with 503; MMS would leave them waiting. */
    private static void answerQueued(Model model) throws ReflectiveOperationException {
        for (Collection<Job> queue : queues(model)) {
            for (Job job : new ArrayList<>(queue)) {
                if (!job.isControlCmd() && queue.remove(job)) {
                    job.sendError(
                            HttpResponseStatus.SERVICE_UNAVAILABLE,
                            "The model's processes have died.");
                }
            }
        }
    }

    private static List<Collection<Job>> queues(Model model) throws ReflectiveOperationException {
        Map<String, Collection<Job>> queues = jobs(Model.class, "jobsDb", model);
        return new ArrayList<>(queues.values());
    }

    @SuppressWarnings("unchecked")
    private static <V> Map<String, V> jobs(Class<?> type, String name, Object owner)
            throws ReflectiveOperationException {
        return (Map<String, V>) value(type, name, owner);
    }

    private static Object value(Class<?> type, String name, Object owner)
            throws ReflectiveOperationException {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        return field.get(owner);
    }
}
