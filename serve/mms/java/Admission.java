package slipway;

import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The limits on bodies, in front of the handler in which MMS collects them.
 *
 * <p>A body that is too large gets 413 and a sentence, which MMS does not send. A body for which
 * memory is lacking gets 503. MMS alone accepts all bodies, until an OutOfMemoryError fails them.
 */
final class Admission extends ChannelDuplexHandler {
    /** Bytes of one body. */
    private static final long MAX_BODY = Long.getLong("slipway.max_payload");
    /** Bytes of all bodies together. */
    private static final long MAX_ALL = Long.getLong("slipway.max_bodies");
    /** Bytes read of a refused body: closing on unread data would cost the client its answer. */
    private static final long MAX_DISCARDED = 1L << 27;
    private static final String TOO_LARGE = System.getProperty("slipway.too_large");
    private static final String BUSY = "the server holds too many requests; ask again in 1 s";
    private static final AtomicLong ALL_HELD = new AtomicLong();

    /** Bytes that this connection has added to ALL_HELD. */
    private long held;
    /** Bytes of the current body that have arrived. */
    private long received;
    private boolean refusing;

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        if (message instanceof HttpRequest && !refusing) {
            admit(context, (HttpRequest) message);
        }
        if (message instanceof HttpContent) {
            received += ((HttpContent) message).content().readableBytes();
            if (!refusing && received > MAX_BODY) { // its head did not say so
                refuse(context, HttpResponseStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE);
            }
        }
        if (!refusing) {
            context.fireChannelRead(message);
            return;
        }
        boolean over = message instanceof LastHttpContent || received > MAX_DISCARDED;
        ReferenceCountUtil.release(message);
        if (over) {
            context.writeAndFlush(Unpooled.EMPTY_BUFFER)
                    .addListener(ChannelFutureListener.CLOSE);
        }
    }

    private void admit(ChannelHandlerContext context, HttpRequest request) {
        received = 0;
        // a chunked body does not say its length: it counts as the largest
        long unknown = HttpUtil.isTransferEncodingChunked(request) ? MAX_BODY : 0;
        long length = HttpUtil.getContentLength(request, unknown);
        if (length > MAX_BODY) {
            refuse(context, HttpResponseStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE);
            return;
        }
        held += length;
        // a body that is the only one is always admitted
        if (ALL_HELD.addAndGet(length) > Math.max(MAX_ALL, length)) {
            refuse(context, HttpResponseStatus.SERVICE_UNAVAILABLE, BUSY);
        }
    }

    private void refuse(
            ChannelHandlerContext context, HttpResponseStatus status, String sentence) {
        refusing = true;
        release();
        byte[] body = ("{\"error\":\"" + sentence + "\"}\n").getBytes(StandardCharsets.UTF_8);
        FullHttpResponse response =
                new DefaultFullHttpResponse(
                        HttpVersion.HTTP_1_1, status, Unpooled.wrappedBuffer(body));
        response.headers()
                .set("content-type", "application/json")
                .set("content-length", body.length)
                .set("connection", "close");
        if (status.code() == 503) {
            response.headers().set("retry-after", 1);
        }
        context.writeAndFlush(response);
    }

    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
        // "100 Continue" is not an answer yet
        if (message instanceof FullHttpResponse
                && ((FullHttpResponse) message).status().code() >= 200) {
            release();
        }
        context.write(message, promise);
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
        release();
        context.fireChannelInactive();
    }

    private void release() {
        ALL_HELD.addAndGet(-held);
        held = 0;
    }
}
