import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * One Elasticsearch node in this process: {@code Launch HOME DATA PORT}. HOME has {@code modules/}; DATA gets
 * {@code data/}, {@code logs/} and {@code config/}. Port 0 is a free one; {@code DATA/logs/http.ports} says which.
 *
 * <p>It ends when standard input does, or when the process that started it is gone: who holds the pipe needs not be
 * alive to let go of it.
 */
public final class Launch {
    /** What server.py looks for in the log. */
    private static final String FAILED = "Not started: ";
    private static final int CLOSE_S = 10;
    private static volatile Node started;

    public static void main(String[] arguments) {
        // No daemon: once the node runs, this thread alone keeps the process alive.
        Thread watch = new Thread(Launch::stopAfterInput, "input");
        watch.start();
        ProcessHandle.current().parent().ifPresent(parent -> parent.onExit().thenRun(Launch::stop));
        try {
            start(Path.of(arguments[0]), Path.of(arguments[1]), arguments[2]);
        } catch (Throwable error) {
            System.err.println(FAILED + error);
            error.printStackTrace();
            // A node that failed half-way leaves threads behind that would keep the process alive.
            Runtime.getRuntime().halt(1);
        }
    }

    private static void start(Path home, Path data, String port) throws Exception {
        LogConfigurator.configureESLogging();
        LogConfigurator.configureWithoutConfig(Settings.builder().put("logger.level", "INFO").build());
        Settings settings = Settings.builder()
            .put("path.home", home)
            .put("path.data", data.resolve("data"))
            .put("path.logs", data.resolve("logs"))
            .put("network.host", "127.0.0.1")
            .put("http.port", port)
            .put("transport.port", "0")
            .put("node.portsfile", true)
            .put("discovery.type", "single-node")
            .put("node.name", "one")
            .put("cluster.name", "nightscribe")
            // A disk that is nearly full must not turn the indices of a test read-only.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        Path config = Files.createDirectories(data.resolve("config"));
        Environment environment = InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), config, () -> "one");
        var modules = PluginsLoader.loadModulesBundles(environment.modulesDir(), false);
        Node node = new Node(environment, PluginsLoader.createPluginsLoader(modules, Set.of(), Map.of()));
        node.start();
        started = node;
    }

    private static void stopAfterInput() {
        try {
            while (System.in.read() >= 0) {
                // Nothing is said on this pipe; only its end counts.
            }
        } catch (java.io.IOException gone) {
            // The same as its end.
        }
        stop();
    }

    private static void stop() {
        Thread limit = new Thread(() -> {
            try {
                TimeUnit.SECONDS.sleep(CLOSE_S);
            } catch (InterruptedException none) {
                // Nobody interrupts it.
            }
            Runtime.getRuntime().halt(1);
        });
        limit.setDaemon(true);
        limit.start();
        Node node = started;
        try {
            if (node != null) {
                node.close();
                node.awaitClose(CLOSE_S, TimeUnit.SECONDS);
            }
        } catch (Exception error) {
            error.printStackTrace();
        }
        Runtime.getRuntime().halt(0);
    }
}
