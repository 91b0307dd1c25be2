import numpy as np
from skgru import GRURegressor
X=np.zeros((4,3,1))
for s in (True, np.array(8), {8,4}, {8:1}, "8", (True,), np.array([4,3]), [4,3], range(3,5), 8.0, [[4]], np.int64(4), np.array([[4]]), [4, [3]], [], None, b"88"):
    try: print(repr(s), GRURegressor(s,max_iter=0).fit(X,[0,1,2,3.]).n_parameters_)
    except Exception as e: print(repr(s), type(e).__name__, str(e)[:150])
