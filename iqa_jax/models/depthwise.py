"""3x3 depthwise convolution."""
import jax.numpy as jnp

def depthwise_convolution(x, kernel, stride):
    n,h,w,c=x.shape
    p=jnp.pad(x,((0,0),(1,1),(1,1),(0,0)))
    return sum(p[:,i:i+h:stride,j:j+w:stride]*kernel[i,j,0] for i in range(3) for j in range(3))
