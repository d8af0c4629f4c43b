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
 * Stands before MMS collects a connection's bodies: one that is too large is refused with a sentence (MMS has none), and one
 * that there is no memory for with 503. MMS takes all that come, until it fails them and others by an OutOfMemoryError.
 */
final class Admission extends ChannelDuplexHandler {
    private static final long LARGEST = Long.getLong("slipway.max_payload"); // bytes of one body
    private static final long ALL = Long.getLong("slipway.max_bodies"); // bytes of all bodies at once
    private static final long DISCARDED = 1L << 27; // bytes read of a refused body: closing on unsent data would cost the client its answer
    private static final String TOO_LARGE = System.getProperty("slipway.too_large");
    private static final AtomicLong HELD = new AtomicLong();

    private long held;
    private long seen;
    private boolean refusing;

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        if (message instanceof HttpRequest && !refusing) {
            admit(context, (HttpRequest) message);
        }
        if (message instanceof HttpContent) {
            seen += ((HttpContent) message).content().readableBytes();
            if (!refusing && seen > LARGEST) { // it had not said so before
                refuse(context, HttpResponseStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE);
            }
        }
        if (!refusing) {
            context.fireChannelRead(message);
            return;
        }
        boolean over = message instanceof LastHttpContent || seen > DISCARDED;
        ReferenceCountUtil.release(message);
        if (over) {
            context.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
        }
    }

    private void admit(ChannelHandlerContext context, HttpRequest request) {
        seen = 0;
        long length = HttpUtil.getContentLength(request, HttpUtil.isTransferEncodingChunked(request) ? LARGEST : 0);
        if (length > LARGEST) {
            refuse(context, HttpResponseStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE);
            return;
        }
        held += length;
        // the only body there is may have all the room
        if (HELD.addAndGet(length) > Math.max(ALL, length)) {
            refuse(context, HttpResponseStatus.SERVICE_UNAVAILABLE, "the server holds too many requests; ask again in 1 s");
        }
    }

    private void refuse(ChannelHandlerContext context, HttpResponseStatus status, String sentence) {
        refusing = true;
        release();
        byte[] body = ("{\"error\":\"" + sentence + "\"}\n").getBytes(StandardCharsets.UTF_8);
        FullHttpResponse response = new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, status, Unpooled.wrappedBuffer(body));
        response.headers().set("content-type", "application/json").set("content-length", body.length).set("connection", "close");
        if (status.code() == 503) {
            response.headers().set("retry-after", 1);
        }
        context.writeAndFlush(response);
    }

    @Override
    public void write(ChannelHandlerContext context, Object message, ChannelPromise promise) {
        if (message instanceof FullHttpResponse && ((FullHttpResponse) message).status().code() >= 200) {
            release(); // 100 Continue is no answer
        }
        context.write(message, promise);
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
        release();
        context.fireChannelInactive();
    }

    private void release() {
        HELD.addAndGet(-held);
        held = 0;
    }
}
